/* core.h: what the files of the core share and no caller sees. The dimension letters are mlp.h's.
 *
 * From fit to the kernels: mlp_fit (train.c) makes epochs of steps; mlp_run_batch (batch.c) has the loss and gradient
 * of one, by chunks of its rows or by parts of blocks; run_block drives one block through mlp_forward_block
 * (propagate.c) and mlp_backward_block (backward.c), layer by layer, layers of a few units by lanes.c, and run_quickly a
 * small one of these in fewer calls; mlp_multiply (matmul.c) cuts a layer's product into panels and groups of rows for
 * kernels->product (kernels/gemm.h), of sparse rows the first layer into groups for kernels/sparse.h; mlp_step
 * (optimizers.c) changes the parameters, but for weights that mlp_layer_gradient sends through their step at once. Of
 * layers of a few units, a batch of a few samples is brief.c's, and steps on one sample are online.c's. plan.c decides
 * what is cut, and for how many threads; crew.c has the memory.
 *
 *     pass     the scratch that drives one block
 *     crew     the passes of a call: one, or one for each thread where these share rows
 *     team     the threads that share the products of one pass
 *     pool     the workers of the process that all calls use (pool.c)
 *
 * A caller ends a call through its poll, which mlp_pause asks once enough work is done. In a region that threads share
 * the first of them asks (mlp_look_up) and tells the others by its watch; a crew's others have told_to_stop for their
 * poll. */
#ifndef MLP_CORE_H
#define MLP_CORE_H

#include <float.h>
#include <stdatomic.h>
#include <string.h>

#include "kernels.h"
#include "mlp.h"
#include "pool.h"

static inline size_t mlp_min(size_t a, size_t b) { return a < b ? a : b; }

static inline size_t mlp_max(size_t a, size_t b) { return a > b ? a : b; }

/* ---- memory.c */

enum { MLP_PAGE = 4096 };           /* bytes: the machine fetches ahead within one */
enum { MLP_SLICE_BYTES = 1 << 24 }; /* that are copied or cleared between two looks at the caller */

/* A block on a boundary of 64 bytes, freed by free(), and one of zeros; NULL: no memory, or a size that overflows. */
void *mlp_reserve(size_t n, size_t item);
void *mlp_allocate(size_t n, size_t item);
/* A block that the last call has left, or a new one; and left for the next. */
void *mlp_take_spare(void **spare, size_t n, size_t item);
void mlp_leave_spare(void **spare, void *block);

/* A block of so many bytes cut into aligned pieces. Where it is too small, or NULL, pieces are NULL, and `used` still
 * says how much is needed: it is cut again from a block of that size; before that nothing is written to a piece. Sums of sizes do not
 * wrap: such blocks belong to networks whose parameters could not be addressed. */
_Static_assert(sizeof(size_t) >= 8, "sizes are of 64 bits");
typedef struct {
    char *at;
    size_t bytes, used;
} mlp_cutter;

static inline void *mlp_cut(mlp_cutter *c, size_t bytes) {
    size_t at = c->used;
    c->used += (bytes + MLP_VECTOR_BYTES - 1) / MLP_VECTOR_BYTES * MLP_VECTOR_BYTES;
    return c->at != NULL && c->used <= c->bytes ? c->at + at : NULL;
}

/* ---- What a call has done so far. */

#define MLP_POLL_WORK 1e7 /* operations between two looks at the caller: a millisecond or so */

/* Says that `work` operations are done; true: the caller wants the call to end. */
static inline bool mlp_pause(mlp_call *call, double work) {
    call->work += work;
    if (call->poll == NULL || call->work < MLP_POLL_WORK) {
        return false;
    }
    call->work = 0;
    return call->poll(call->context) != 0;
}

/* The same within a block, where that takes long: small blocks of a run are counted when they are done. */
static inline bool mlp_pause_within(mlp_call *call, double work) { return work >= 1e6 && mlp_pause(call, work); }

/* About what a step and the handling of one number of a sample cost beside the products, in such operations. */
#define MLP_STEP_WORK 2000.0
#define MLP_SAMPLE_WORK 20.0

/* ---- network.c */
typedef struct {
    size_t n_in, n_out;
    size_t ld;              /* elements between the rows of a tile of its outputs */
    size_t weights, biases; /* offsets of W and b in the parameter block */
    size_t activation; /* index into the kernel table; of the output layer: where mlp_output is OUTPUT_ELEMENTWISE */
    double dropout;    /* rate after this layer */
} mlp_layer;

typedef enum { OF_DIFFERENCE, OF_LOGIT, OF_LOGITS } mlp_loss_kind;
typedef enum { OUTPUT_ELEMENTWISE, OUTPUT_EXP, OUTPUT_SOFTMAX } mlp_output;

typedef struct mlp_rule mlp_rule;

/* Blocks that training needs and the next call will need again: taking them from the system anew costs a wide network
 * as much as a third of a step. NULL while a call has them, or there are none. */
typedef struct {
    void *gradient, *parameters; /* real [N] */
    void *state;                 /* real [n_state] of the optimizer's */
} mlp_spare;

/* Sharing a step pays while the other cores are free and near, which may change at any time. So, now and then, steps
 * are made the other way for a moment, and the faster way is kept, from call to call. The bits are the same. */
typedef struct {
    size_t n_threads, batch;     /* what a call has that makes such steps */
    bool shares, tries;          /* the way that is kept; whether the other one is being tried */
    double kept, left;           /* seconds from a trial to the next; until one begins or ends */
    double steps[2], seconds[2]; /* [false]: the kept way, before a trial; [true]: the other, in it */
} mlp_pace;

struct mlp_network {
    const mlp_kernels *kernels;
    mlp_dtype dtype;
    size_t item; /* sizeof(real) */
    size_t n_layers;
    mlp_layer *layers; /* [L+1]; [0] holds n_out = n[0] and ld alone */
    size_t widest;     /* ld of the widest one */
    double row_work;   /* operations, about, that a sample costs on the way forward */
    size_t loss;       /* index into the kernel table */
    mlp_loss_kind loss_kind;
    mlp_output output;
    double *loss_parameters; /* [K] */
    bool sum, penalty_in_mean, bias;
    double l1, l2;
    size_t n_parameters;
    void *parameters; /* real [N], readable a virtual vector further */

    mlp_optimizer optimizer;
    const mlp_rule *rule;
    void *state; /* real [n_state]: the rule's vectors of N, one after the other */
    size_t n_state;
    mlp_progress progress;
    uint64_t evaluations;
    mlp_history history;
    size_t history_capacity;
    mlp_spare spare;
    mlp_pace pace;
};

/* What a loss line of losses.h says besides its formulas. */
typedef struct {
    const char *name, *activation;
    mlp_loss_kind kind;
    double parameter, lowest, highest;
} mlp_loss_line;
const mlp_loss_line *mlp_loss_at(size_t i); /* NULL past the last one */
bool mlp_has_derivative_from_input(size_t activation);

static inline void *mlp_at(const mlp_network *net, const void *block, size_t i) {
    return (char *)(uintptr_t)block + i * net->item;
}

static inline size_t mlp_inputs(const mlp_network *net) { return net->layers[0].n_out; }

static inline size_t mlp_outputs(const mlp_network *net) { return net->layers[net->n_layers].n_out; }

static inline bool mlp_is_weighted(const mlp_data *data) {
    return data->weight.data != NULL || data->class_weight != NULL;
}

static inline size_t mlp_row_of(const int64_t *order, size_t i) { return order != NULL ? (size_t)order[i] : i; }

/* ---- rows.c */

/* Rows to read as real, through order unless that is NULL. */
typedef struct {
    const mlp_rows *rows;
    mlp_dtype dtype;
    const int64_t *order;
    size_t together;            /* rows of the block that those read are a part of; 0: they are all of it */
    void *cells;                /* for sparse rows: room for one of them, 8 bytes a column */
    mlp_call *call;             /* for sparse rows: where it is said what is wrong with one */
    const mlp_kernels *kernels; /* rows that lie by columns are transposed by these; NULL: columns alone are read */
} mlp_source;

size_t mlp_row_bytes(const mlp_rows *rows);   /* of one, where each begins where the one before ends; else 0 */
bool mlp_is_by_columns(const mlp_rows *rows); /* columns are the contiguous direction */
/* Rows first..first+n, row-major: in place where the source allows it, else gathered and converted into tile (n, ld).
 * *ld_out: the distance of the rows returned. NULL: a sparse row that is none (MLP_BAD_X). */
const void *mlp_read_tile(const mlp_source *source, size_t first, size_t n, void *tile, size_t ld, size_t *ld_out);
/* The same transposed: column j to out[j * stride + i], i < n. With kernels in lanes layout: the last one once more up
 * to the stride. False: a sparse row that is none (MLP_BAD_X). */
bool mlp_read_columns(const mlp_source *source, size_t first, size_t n, void *out, size_t stride);
size_t mlp_count_values(const mlp_source *source, size_t i); /* of row i of a sparse source; SIZE_MAX: it is none */
/* Row i of a sparse source as its columns, ascending, and their values: how many there are. SIZE_MAX: more than `most`,
 * or it is not that simple: read as any other it may be one. */
size_t mlp_compress_row(const mlp_source *source, size_t i, size_t most, uint32_t *columns, void *values);
/* Rows that are not sparse as double, into out (n, n_columns). */
void mlp_read_doubles(const mlp_rows *rows, const int64_t *order, size_t first, size_t n, double *out);
/* A source as one contiguous block of real, by rows or by columns, converted once, where it needs converting (or
 * `always`) and fits MLP_TILE_BYTES: *owned is the block to free, or NULL where the source stays as it is. False: no
 * memory. */
#define MLP_TILE_BYTES ((size_t)256 * 1024)
bool mlp_settle_rows(mlp_rows *rows, mlp_dtype dtype, bool by_columns, bool always, void **owned);

/* ---- check.c: values, before anything is computed from them */
/* A label becomes an index wherever it is read: another thread may have changed it since the call began. */
mlp_status mlp_check_label(double label, size_t n_classes, size_t row, mlp_call *call);
mlp_status mlp_check_data(const mlp_network *net, const mlp_data *data, mlp_call *call);

/* ---- plan.c */
enum { MLP_LANES_INPUTS = 64 }; /* at most, where samples go into the lanes */
typedef struct {
    bool lanes;   /* samples in the lanes, for layers of a few units; else a vector over units */
    bool dots;    /* else: the outputs are few, each z is a dot product, in lanes layout */
    bool single;  /* and where there is one, the products of the way back are by vectors too, its dZ in lanes layout */
    bool few;     /* else: so few samples that weights had better stay with the core that has updated them */
    bool by_rows; /* else: losses of many outputs are taken where they are, row-major; else in lanes layout */
    bool classes; /* else: so is the softmax of many classes, and its loss where there are labels */
    bool brief;   /* in lanes: so few samples that they are one virtual vector, and a step of theirs one call */
    size_t block; /* samples driven through all layers together */
} mlp_plan;
bool mlp_is_narrow(const mlp_network *net); /* its layers have so few units that samples may go into the lanes */
/* trains: for a training call, whose steps on one sample are in lanes, as online.c's are, also where those on more are
 * not. */
mlp_plan mlp_make_plan(const mlp_network *net, size_t n_rows, bool trains);
/* The block of a prediction of more rows than the plan's: such that its threads get equally many, and inputs that are
 * read in place are few at a time. Rows come out the same from any. */
size_t mlp_even_block(const mlp_network *net, const mlp_plan *plan, size_t n_rows, const mlp_call *call);
/* Whether the z of a layer are dot products: its units are few, and an inner one's inputs many. */
bool mlp_is_of_dots(const mlp_network *net, const mlp_plan *plan, size_t l);
/* Whether a product by weights of so many inputs had better be shared by these than by its rows. */
bool mlp_is_deep(size_t n_in, size_t n_rows);
/* Whether dA of so many rows is computed as the transpose of W dZ^T, in pieces; dW as that of dZ^T A. */
bool mlp_turns_da(const mlp_network *net, const mlp_layer *layer, size_t n_rows);
bool mlp_turns_dw(const mlp_network *net, const mlp_layer *layer, size_t n_rows);
/* Whether the step can be made inside a product of dW, which is Adam's where there are kernels for it; and whether it had
 * better be: of a layer as wide as a panel, where it hides or threads share the product. */
bool mlp_is_fusible(const mlp_network *net);
bool mlp_hides_update(const mlp_network *net, const mlp_layer *layer, size_t n_rows, size_t n_threads);
/* Whether samples are so few that a layer's weights had better take their step row by row; and that dA had better come
 * from the rows of the weights as they lie. */
bool mlp_steps_by_rows(const mlp_network *net, const mlp_layer *layer, size_t n_rows);
bool mlp_goes_back_by_rows(size_t n_rows);
/* The threads that rows are shared among, `unit` of them at a time: chunks of a batch, or blocks of a prediction. */
size_t mlp_threads_of_units(const mlp_network *net, size_t n_rows, size_t unit, bool gradient, const mlp_call *call);
/* The threads that a block's products are worth. */
size_t mlp_threads_of_products(const mlp_network *net, const mlp_plan *plan, const mlp_call *call);
/* The threads that each block of a batch of one chunk is cut into parts for; of n rows in so many parts, those of one. */
size_t mlp_parts_for(const mlp_network *net, const mlp_plan *plan, size_t n_rows, const mlp_call *call);
size_t mlp_part_rows(const mlp_network *net, const mlp_plan *plan, size_t n, size_t n_parts);
/* Of n samples so many at a time: chains of sums (see kernels.h); the gradients of chunks are added in order. */
size_t mlp_chunk_rows(const mlp_network *net, size_t n);
size_t mlp_threads_for(const mlp_call *call, double work); /* the threads to share a region of so many operations */
/* The tasks of a region of so many operations, on up to n_threads. */
void mlp_share(mlp_call *call, size_t n_threads, double work, size_t n_tasks, mlp_task task, void *context);
size_t mlp_padded(const mlp_network *net, size_t n);        /* elements between the rows of a tile of n columns */
size_t mlp_whole_vectors(const mlp_network *net, size_t n); /* n rounded up to whole virtual vectors */

/* ---- matmul.c */
typedef struct {
    const void *data; /* element (i, p) at data[i*row + p*step] */
    size_t row, step;
} mlp_left;

typedef struct {
    const void *data;
    size_t ld;
    bool transposed; /* data holds B^T (n, k) */
    bool padded;     /* whole vectors are readable past the last column */
} mlp_right;

/* A part of a product that is complete: C's rows from `row` on, and columns from `column` on. */
typedef struct {
    size_t row, n_rows, column, n_columns;
    const void *c; /* where C is not kept: this part of it, readable to whole vectors both ways, in rows ldc apart */
    size_t ldc;
} mlp_piece;

/* C (m, n) +=/= A (m, k) B (k, n). */
typedef struct {
    const mlp_kernels *kernels;
    void *c; /* NULL: it is not kept, and pieces, of whole vectors of rows but for the last ones, go from a thread's
              * tile to `done`; k is at most MLP_PANEL_DEPTH */
    size_t ldc;
    bool padded; /* C's rows may be written to the next whole vector */
    mlp_left a;
    mlp_right b;
    size_t m, n, k;
    bool accumulate;
    bool keeps_depth;     /* threads share k: of B, the weights, each keeps to some rows */
    bool keeps_rows;      /* they share m: of the weights, A, or their gradient, C, each keeps to some rows */
    bool keeps_columns;   /* they share n alone: a piece has all m rows, MLP_TURNED_UNITS at most */
    const mlp_adam *adam; /* C goes through Adam's step in place of being kept, k in one part; or NULL */
    mlp_ending ending;    /* what becomes of C, if anything, and by what */
    const void *operand;
    const void *next; /* as many rows of next_row bytes that are wanted after A's: fetched meanwhile; or NULL */
    size_t next_row;
    /* Called with each piece of C when it is complete, from any thread; NULL: nothing is to be done. */
    void (*done)(void *context, const mlp_piece *piece);
    void *context;
} mlp_product;

/* Fewer rows are not worth packing the right operand for them. */
#define MLP_FEW_ROWS 16

/* Rows of C that are completed together, fewer than half as many again: whole tiles of nearly every height there is,
 * and whole vectors; with a panel's columns a good part of the L1 cache. */
#define MLP_GROUP_ROWS 48
#define MLP_PIECE_ROWS 80 /* of a thread's tile: no group has more, whole vectors of rows */

/* Units of a layer whose dW^T may be computed in place of its dW. */
#define MLP_TURNED_UNITS 48

/* Who computes: so many threads of the call's, each with room for a panel, and behind it, where products are not kept,
 * for a piece of C. */
typedef struct {
    mlp_call *call;
    size_t n_threads;
    void *panels;
    size_t panel_bytes, thread_bytes;
} mlp_team;

size_t mlp_team_threads(const mlp_team *team, double work);
bool mlp_multiply(const mlp_product *product, mlp_team *team); /* false: the caller wants the call to end */

/* A team's region: its calling thread looks up now and then, and tells the others to stop. */
typedef struct {
    mlp_call *call;
    size_t n_threads;
    atomic_bool stop;
} mlp_watch;

/* After so many operations, while the other threads have made as many. */
void mlp_look_up(mlp_watch *watch, size_t thread, double work);
bool mlp_is_stopped(mlp_watch *watch);
/* Tasks of all together `work`, whose context has the watch. False: the caller wants the call to end. */
bool mlp_share_watched(mlp_team *team, mlp_watch *watch, double work, size_t n_tasks, mlp_task task, void *context);

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

/* ---- propagate.c, backward.c */

/* Reads rows first..first+n of x, unless the pass holds them, and drives them through the layers up to A[last]; of the
 * outputs to z, in lanes layout, but for plan.by_rows and classes. records, if any, get Z and the hidden A from row
 * `place` on. */
mlp_status mlp_forward_block(mlp_pass *pass, const mlp_rows *x, const int64_t *order, size_t first, size_t n,
                             size_t last, const mlp_record *records, size_t place);
/* Those rows alone, to pass->x or as sparse ones; false: MLP_BAD_X. */
bool mlp_read_inputs(mlp_pass *pass, const mlp_rows *x, const int64_t *order, size_t first);
void mlp_copy_out(const mlp_pass *pass, const void *block, bool lanes, size_t l, void *out, size_t first);
const void *mlp_layer_input(const mlp_pass *pass, size_t l, size_t *ld); /* A[l-1] after its dropout */
mlp_sparse mlp_sparse_input(const mlp_pass *pass, size_t first);         /* its rows from `first` on; pass->sparse */
void mlp_shape_of(const mlp_pass *pass, size_t l, size_t *rows, size_t *n,
                  size_t *ld);                             /* a block, for elementwise kernels */
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
/* Where g' of layer l comes from, in the layout of its block. */
const void *mlp_slope_of(const mlp_pass *pass, size_t l);
/* From dZ[L] to what is wanted; false: the caller wants the call to end. */
bool mlp_backward_block(mlp_pass *pass, size_t first, const mlp_outputs_wanted *wanted);
/* dW[l] (+)= A[l-1]^T dZ[l], these rows of it, and db[l] (+)= the column sums of dZ with the first one. With an update
 * they go through it, into the weights. In lanes layout: all rows. */
bool mlp_layer_gradient(const mlp_pass *pass, mlp_team *team, size_t l, const mlp_range *rows,
                        const mlp_outputs_wanted *wanted);

/* ---- lanes.c: the same of layers of a few units, in lanes layout */

bool mlp_read_in_lanes(const mlp_pass *pass, const mlp_source *source, size_t first); /* A[0]; false: MLP_BAD_X */
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
bool mlp_back_by_rows(const mlp_pass *pass, mlp_team *team, size_t l, const void *dz, void *da);

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

/* ---- snapshot.c */
typedef struct {
    void *parameters, *state;
    mlp_progress progress;
    bool for_an_epoch; /* it need not outlive the next epoch */
    bool taken;
} mlp_snapshot;
/* Its blocks; false: no memory. */
bool mlp_snapshot_reserve(mlp_snapshot *s, const mlp_network *net, bool for_an_epoch, mlp_spare *spare);
void mlp_snapshot_leave(mlp_snapshot *s, mlp_spare *spare); /* them, for the next call */
void mlp_snapshot_free(mlp_snapshot *s);
bool mlp_snapshot_take(mlp_snapshot *s, const mlp_network *net, mlp_call *call); /* false: the call is to end */
void mlp_snapshot_restore(const mlp_snapshot *s, mlp_network *net);

/* ---- pace.c */
/* Goes on where a call has the same to choose as the last one, else begins anew. */
void mlp_pace_begin(mlp_pace *p, size_t n_threads, size_t batch);
size_t mlp_pace_threads(const mlp_pace *p);      /* of the next step: in a trial the other way is taken */
void mlp_pace_step(mlp_pace *p, double seconds); /* after a step of the size that is paced */

/* ---- optimizers.c, lbfgs.c */
struct mlp_rule {
    const char *name;
    size_t (*vectors)(const mlp_optimizer *o); /* how many vectors of N its state is */
    /* Parameters first..first+n, by their gradient and state alone; NULL: lbfgs, which is a search. */
    void (*update)(const mlp_network *net, const void *gradient, size_t first, size_t n, const mlp_update *update);
    /* The same of weights by few samples, from number `first` on: all but their own place is in o. NULL: none. */
    void (*outer)(const mlp_network *net, mlp_outer *o, size_t first, const mlp_update *update);
    bool full_batch;
    bool fuses;     /* the update can be made inside a product: it is Adam's */
    bool averages;  /* its state fades where gradients are zero */
    size_t squares; /* which of its vectors, from 1, has mean squares, whose roots divide its steps; 0: none */
};

/* What the next step's update needs. */
mlp_update mlp_make_update(const mlp_network *net, double rate);
/* Parameters from `first` on, as a product's target whose rows lie ld apart. */
mlp_adam mlp_adam_at(const mlp_network *net, size_t first, size_t ld, const mlp_update *update);
/* Of weights first..first+n, before their update: their gradient takes that of its penalties, and they decay. */
void mlp_change_weights(const mlp_network *net, void *gradient, size_t first, size_t n, const mlp_update *update);
/* The gradient of weights takes that of the update's penalties. fused: the weights are done, biases are left. */
void mlp_step(mlp_network *net, void *gradient, const mlp_update *update, bool fused, mlp_call *call);

typedef struct mlp_search mlp_search;
typedef mlp_status (*mlp_objective)(void *context, double *value, void *gradient); /* at the network's parameters */
mlp_search *mlp_search_create(mlp_network *net, mlp_objective objective, void *context, mlp_call *call);
void mlp_search_destroy(mlp_search *search);
/* Evaluates where the network stands, unless the last iteration left it there. */
mlp_status mlp_search_start(mlp_search *search, double *value, bool *converged);
mlp_status mlp_search_iterate(mlp_search *search, bool *converged);
void mlp_search_check_point(mlp_search *search); /* the parameters may have been written from outside */

/* ---- online.c */
bool mlp_is_online(const mlp_network *net, const mlp_data *data, const mlp_fit_settings *settings, size_t batch);
mlp_status mlp_run_online(mlp_network *net, const mlp_data *data, const int64_t *order, double rate, size_t *steps,
                          double *loss, mlp_call *call);

/* ---- random.c */
/* anew: of 0..n-1, else of what order holds; false: the call is to end */
bool mlp_permute(int64_t *order, size_t n, bool anew, const mlp_random *random, mlp_call *call);

/* ---- powers.c: the same bits with every C library */
double mlp_whole_power(double x, uint64_t n);
double mlp_power(double x, double p); /* x >= 1; 0 below 10^-304 */
double mlp_half_cosine(double t);     /* from 1 to 0 as t goes from 0 to 1 */

/* ---- schedules.c */
void mlp_plateau_start(mlp_progress *progress); /* nothing has been seen */
void mlp_plateau_step(mlp_progress *progress, const mlp_schedule *schedule, double value);

#endif
