/* pass.h: a batch from its rows to its loss and gradient: the scratch of a call, and what is computed in it. */
#ifndef MLP_PASS_H
#define MLP_PASS_H

#include "matmul.h"

/* ---- crew.c */
typedef struct {
    const mlp_data *data;
    const int64_t *order; /* the rows are order[first..first+n], or first..first+n where NULL */
    size_t first, n;
    bool stays; /* one block that is the same each time, and nobody changes: it is read once */
} mlp_batch;

typedef struct {
    double loss, weight; /* sum of w times loss; sum of w */
} mlp_sums;

/* The factor of a mean over samples whose weights have this sum; so little that it has no inverse is no weight. */
static inline double mlp_per_weight(double weight) { return weight >= DBL_MIN ? 1.0 / weight : 0.0; }

/* The scratch of one call: one block of samples in all its forms. */
typedef struct {
    const mlp_network *net;
    const void *parameters;
    mlp_plan plan;

    /* The block now, and its rows. */
    size_t n, stride; /* samples; lanes: rounded up to whole virtual vectors */
    size_t first;     /* place of the first one in its batch */
    size_t whole;     /* samples of the block of which these are a part; 0: they are all */
    const void *x;    /* A[0] now, in place or in a[0]; rows x_ld apart */
    size_t x_ld;
    bool sparse;        /* the block's rows are in a[0] as sparse ones (mlp_sparse_input): x is not to be read */
    size_t n_values;    /* that they have, all together */
    size_t longest_row; /* and the longest of them */
    const void *next;   /* the caller's rows for the next block, where they are worth fetching ahead; or NULL */
    size_t next_row;    /* bytes of one */
    const void *ahead;  /* the row of the next step by one sample, which this one leaves multiplied in a[1]; or NULL */
    bool multiplied;    /* so it is with this row: a[1] has its product with the weights */

    /* Its layers. */
    void **a;               /* [L+1] tiles (block, ld) or lanes (n[l], stride) */
    void **d;               /* [L+1] g'(Z), where it comes from the input; NULL elsewhere */
    void **mask, **dropped; /* [L+1] dropout; NULL where there is none */
    void **dz;              /* [L+1] dZ, of layer 0 dA: two blocks in turn, or one each where a block is in parts */
    size_t replaced;        /* the layer whose dZ lies in place of its A, with its db computed; 0: none */

    /* Its outputs and losses. */
    void *z, *dz_out, *y, *d_out; /* in lanes layout (K, stride), by_rows not used; z: of all layers of dots */
    const void *y_rows;           /* by_rows: targets (n, K), y_ld apart, in place or in `targets` */
    size_t y_ld;
    void *loss_parameters;    /* by_rows: real [K], padded */
    double *losses, *weights; /* [block] */
    void *scale;              /* real [block] */
    void *targets;            /* row-major (block, K), or labels, as they are read; then room for dA of the outputs */
    bool labelled;            /* plan.classes: the targets are labels, and taken as they are */

    /* Room for one thing at a time, and who computes. */
    void *cells;   /* one sparse row (n[0],), 8 bytes each */
    void *columns; /* of the W at hand, where it is dots of several */
    void *padded;  /* copy of the biases at hand, or of the weights of one unit */
    mlp_team team;
    bool keeps;    /* each thread keeps to some rows of the weights */
    bool holds;    /* the rows of a batch that stays, with their targets and weights */
    void *sums;    /* lanes: a virtual vector for every parameter */
    void *partial; /* real [N]: the gradient of a later chunk of the batch */
} mlp_pass;

/* One thread's share of a call. */
typedef struct {
    mlp_pass *pass;
    mlp_call call; /* of the pass, but for the first member's, which takes the caller's */
} mlp_member;

/* What became of the chunk of this number in a wave, or of the part of a block, whoever has run it; of a prediction, of
 * what a thread has run. */
typedef struct {
    double loss;
    mlp_status status;
    mlp_call complaint; /* its row, column and reason */
} mlp_outcome;

/* What a small call takes from its stack in place of the heap. */
typedef struct {
    size_t used;
    _Alignas(MLP_VECTOR_BYTES) char bytes[6144];
} mlp_room;

/* A pass for each thread that drives samples of its own through the network: chunks of a batch, parts of its blocks,
 * blocks of a prediction. Where that would be one thread, the threads share the products of its only pass. */
typedef struct {
    mlp_call *call;
    mlp_room *room;
    const mlp_network *net;
    void *block; /* that has the scratch; NULL: the room has it */
    atomic_bool stop;
    size_t n;
    size_t n_rows, chunk; /* the rows it is made for, and of their chunks */
    bool by_parts;        /* members have a part of each block, whichever thread that is on; the first, all of it too */
    double *losses, *weights; /* [block] by_parts: of a whole one */
    mlp_outcome *outcomes;    /* [n] */
    mlp_member members[];     /* [n]; the first runs on the calling thread, which alone polls */
} mlp_crew;

typedef enum { PREDICTS, EVALUATES, DIFFERENTIATES, TRAINS } mlp_purpose; /* TRAINS: with dropout */

/* room: with used = 0, to live as long as the crew; or NULL. */
mlp_crew *mlp_crew_create(const mlp_network *net, size_t n_rows, mlp_purpose purpose, mlp_call *call, mlp_room *room);
void mlp_crew_destroy(mlp_crew *crew);
/* by_parts: member t has rows `first`.. of a block of n now. */
void mlp_take_part(mlp_crew *crew, size_t t, size_t first, size_t n);
void mlp_crew_evaluate_at(mlp_crew *crew, const void *parameters);
/* What a task of a pass has come to, as outcome i; where that is no success, the others are told to stop. */
void mlp_crew_report(mlp_crew *crew, size_t i, const mlp_pass *pass, mlp_status status);
bool mlp_crew_stops(const mlp_crew *crew);
size_t mlp_chunk_of(const mlp_crew *crew, size_t n); /* rows of a chunk of a batch of n */
/* Whether that is one block, of one chunk. */
bool mlp_is_one_block(const mlp_crew *crew, size_t n);
/* What the first n outcomes come to: a complaint of one's own before those that were told to stop. */
mlp_status mlp_crew_status(const mlp_crew *crew, size_t n);

/* ---- block.c */

/* Rows first..first+pass->n of x to pass->x or as sparse ones; false: MLP_BAD_X. */
bool mlp_read_inputs(mlp_pass *pass, const mlp_rows *x, const int64_t *order, size_t first);
mlp_sparse mlp_sparse_input(const mlp_pass *pass, size_t first);         /* its rows from `first` on; pass->sparse */
const void *mlp_layer_input(const mlp_pass *pass, size_t l, size_t *ld); /* A[l-1] after its dropout */
bool mlp_goes_on_in_place(const mlp_pass *pass, size_t l); /* that is the caller's rows, with more of them to come */
const void *mlp_slope_of(const mlp_pass *pass, size_t l);  /* where g'(Z[l]) comes from */
/* Layer l's part of the block, as elementwise kernels see it. */
void mlp_shape_of(const mlp_pass *pass, size_t l, size_t *rows, size_t *n, size_t *ld);
/* That to out (.., n[l]), C-contiguous, from row `first` on. */
void mlp_copy_out(const mlp_pass *pass, const void *block, bool lanes, size_t l, void *out, size_t first);

/* ---- propagate.c, backward.c */

/* Reads rows first..first+n of x, unless the pass holds them, and drives them through the layers up to A[last]; of the
 * outputs to z, in lanes layout, but for plan.by_rows and classes. records, if any, get Z and the hidden A from row
 * pass->first on. */
mlp_status mlp_forward_block(mlp_pass *pass, const mlp_rows *x, const int64_t *order, size_t first, size_t n,
                             size_t last, const mlp_record *records);
void mlp_turn_output(mlp_pass *pass);                      /* plan.classes: z in lanes layout, from a[L] */
void mlp_activate_output(mlp_pass *pass, bool derivative); /* z becomes A[L], d_out g' where it comes from the input */

typedef struct {
    size_t begin, end;
} mlp_range;

typedef struct {
    void *gradient;       /* real [N] or NULL */
    void *input_gradient; /* real (n, n[0]) or NULL */
    double *sample_losses;
    const mlp_record *records;
    const mlp_update *update; /* the gradient of weights goes through their step at once, that of biases is kept: for a
                               * batch of one block; or NULL */
    bool clipped;             /* losses of cross-entropies from probabilities kept off 0 and 1; derivatives as ever */
    /* batch.c's own, false elsewhere: */
    bool accumulate; /* the gradient is added to what is there */
    bool of_parts;   /* the rows are a part of a block: the gradient is taken when all parts are there */
} mlp_outputs_wanted;
/* From dZ[L] to what is wanted; false: the caller wants the call to end. */
bool mlp_backward_block(mlp_pass *pass, const mlp_outputs_wanted *wanted);
/* dW[l] (+)= A[l-1]^T dZ[l], these rows of it, and db[l] (+)= the column sums of dZ with the first one. With an update
 * they go through it, into the weights. In lanes layout: all rows. */
bool mlp_layer_gradient(const mlp_pass *pass, mlp_team *team, size_t l, const mlp_range *rows,
                        const mlp_outputs_wanted *wanted);

/* ---- lanes.c: the same of layers of a few units, in lanes layout */

void mlp_forward_in_lanes(const mlp_pass *pass, size_t l, void *z, size_t activation);
/* da = dA[l-1] of dz, and if `through`, dZ[l-1]; then there is no dropout between. */
void mlp_back_in_lanes(const mlp_pass *pass, size_t l, const void *dz, void *da, bool through);
void mlp_gradient_in_lanes(const mlp_pass *pass, size_t l, const void *dz, bool accumulate);

/* ---- brief.c */

typedef struct mlp_brief_steps mlp_brief_steps;
/* For steps on batches of so many rows, as plan.brief allows, without weights and dropout. NULL: no memory. */
mlp_brief_steps *mlp_brief_create(const mlp_network *net, size_t batch, mlp_call *call);
void mlp_brief_destroy(mlp_brief_steps *steps);
/* The loss and gradient of a batch. Those of an epoch come in their order. */
mlp_status mlp_run_brief(mlp_brief_steps *steps, const mlp_batch *batch, void *gradient, mlp_sums *sums);

/* ---- few.c */

/* The step of weights from number `weights` on by few samples. all: the operands of their gradient, no more. */
void mlp_step_by_rows(const mlp_network *net, mlp_team *team, const mlp_outer *all, size_t weights,
                      const mlp_update *update);
/* da, a tile of A[l-1], = dZ[l] W[l]^T; false: the caller wants the call to end. */
bool mlp_back_by_rows(mlp_pass *pass, size_t l, const void *dz, void *da);

/* ---- batch.c */

/* Labels of rows first..first+n as ones, among zeros that are there: class k of sample i at out[i*sample + k*step].
 * labels: room for them. out NULL: they alone. */
mlp_status mlp_read_labels(const mlp_network *net, const mlp_rows *y, const int64_t *order, size_t first, size_t n,
                           double *labels, void *out, size_t sample, size_t step, mlp_call *call);

/* Samples as rows of real: in place where they lie like that, else in the room for them; labels as rows of zeros and
 * ones. */
typedef struct {
    void *x, *y;    /* real (n, n[0]), (n, K) */
    double *labels; /* [n] */
    void *cells;    /* of a sparse row */
} mlp_sample_room;

typedef struct {
    const void *x, *y;
    size_t ldx, ldy;
} mlp_samples;

mlp_status mlp_read_samples(const mlp_network *net, const mlp_data *data, const int64_t *order, size_t first, size_t n,
                            const mlp_sample_room *room, mlp_samples *samples, mlp_call *call);

/* Losses and derivatives of a batch, by chunks and blocks; penalties are the caller's. */
mlp_status mlp_run_batch(mlp_crew *crew, const mlp_batch *batch, const mlp_outputs_wanted *wanted, mlp_sums *sums);

/* ---- evaluate.c */
double mlp_data_term(const mlp_network *net, const mlp_sums *sums);
double mlp_penalty_factor(const mlp_network *net, const mlp_sums *sums); /* of both penalties, for a batch */
double mlp_penalty(const mlp_network *net, const mlp_sums *sums, const void *parameters);
void mlp_add_penalty_gradient(const mlp_network *net, const mlp_sums *sums, const void *parameters, void *gradient);

#endif
