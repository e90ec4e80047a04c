/* core.h: what the files of the core share and no caller sees: memory, calls, networks, rows and plans. On it stand
 * matmul.h (products), pass.h (batches) and training.h (runs). The dimension letters are mlp.h's.
 *
 * From fit to the kernels: mlp_fit (train.c) makes epochs of steps; mlp_run_batch (batch.c) has the loss and gradient
 * of one, by chunks of its rows or by parts of blocks; run_block drives one block through mlp_forward_block
 * (propagate.c) and mlp_backward_block (backward.c), layer by layer, layers of a few units by lanes.c, and run_quickly
 * a small one of these in fewer calls; mlp_multiply (matmul.c) cuts a layer's product into panels and groups of rows
 * for kernels->product (kernels/gemm.h), of sparse rows the first layer into groups for kernels/sparse.h; mlp_step
 * (optimizers.c) changes the parameters, but for weights that mlp_layer_gradient sends through their step at once. Of
 * layers of a few units, a batch of a few samples is brief.c's, and steps on one sample are online.c's. plan.c decides
 * what is cut, and for how many threads; crew.c has the memory, block.c what a block of it holds.
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
 * says how much is needed: it is cut again from a block of that size; before that nothing is written to a piece. Sums
 * of sizes do not wrap: such blocks belong to networks whose parameters could not be addressed. */
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

/* The same within a block, where that takes long: small blocks of a run are counted when they are done
 * (and long ones once more: the caller is asked a little earlier). */
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

/* How an optimizer changes parameters: a line of the table in optimizers.c. */
typedef struct {
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
} mlp_rule;

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

static inline bool mlp_has_dropout(const mlp_network *net) {
    bool drops = false;
    for (size_t l = 1; l < net->n_layers; l++) {
        drops = drops || net->layers[l].dropout > 0;
    }
    return drops;
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

/* A row where it lies, elements of the type next to each other; NULL: it has to be read. */
const void *mlp_row_in_place(const mlp_rows *rows, mlp_dtype dtype, size_t row);
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
    bool lanes;   /* samples in the lanes, for layers of a few units; else a vector over units, and then: */
    bool dots;    /* the outputs are few: each z is a dot product, in lanes layout */
    bool single;  /* there is one: the products of the way back are by vectors too, its dZ in lanes layout */
    bool few;     /* so few samples that weights had better stay with the core that has updated them */
    bool by_rows; /* losses of many outputs are taken where they are, row-major; otherwise in lanes layout */
    bool classes; /* so is the softmax of many classes, and its loss where there are labels */
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
/* Whether the step can be made inside a product of dW, which is Adam's where there are kernels for it; and whether it
 * had better be: of a layer as wide as a panel, where it hides or threads share the product. */
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
/* The threads that each block of a batch of one chunk is cut into parts for; of n rows in so many parts, those of
 * one. */
size_t mlp_parts_for(const mlp_network *net, const mlp_plan *plan, size_t n_rows, const mlp_call *call);
size_t mlp_part_rows(const mlp_network *net, const mlp_plan *plan, size_t n, size_t n_parts);
/* Of n samples so many at a time: chains of sums (see kernels.h); the gradients of chunks are added in order. */
size_t mlp_chunk_rows(const mlp_network *net, size_t n);
size_t mlp_threads_for(const mlp_call *call, double work); /* the threads to share a region of so many operations */
/* The tasks of a region of so many operations, on up to n_threads. */
void mlp_share(mlp_call *call, size_t n_threads, double work, size_t n_tasks, mlp_task task, void *context);
size_t mlp_padded(const mlp_network *net, size_t n);        /* elements between the rows of a tile of n columns */
size_t mlp_whole_vectors(const mlp_network *net, size_t n); /* n rounded up to whole virtual vectors */

#endif
