/* mlp_types.h: the plain structures that the calls of mlp.h take and fill; no functions. Dimensions as in mlp.h.
 *
 * A structure set to zero is the default wherever zero makes sense; what has no default says so in its comment. */
#ifndef MLP_TYPES_H
#define MLP_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- A network. */
typedef struct mlp_network mlp_network;

typedef enum { MLP_F32, MLP_F64 } mlp_dtype;

/* What a network is. The names of activations and losses are those of activations.h and losses.h. */
typedef struct {
    size_t n_layers;                /* L >= 1 */
    const size_t *layer_sizes;      /* [L+1] units of each layer, inputs first; each >= 1 */
    const char *const *activations; /* [L] by name; the last one is the output's */
    const char *loss;               /* by name */
    const double *loss_parameters;  /* huber: {delta}; quantile: q, one or one per output; else none */
    size_t n_loss_parameters;       /* 0: the loss's own defaults */
    bool sum;                       /* the reduction: sum over the batch; false: the mean */
    bool penalty_in_mean;           /* with the mean: (sum w loss + penalties) / sum w, each batch by its own weights */
    double l1, l2;                  /* penalties on the weights, >= 0 */
    const double *dropout;          /* [L-1] rate after each hidden layer, in [0, 1); NULL: none */
    bool bias;
    mlp_dtype dtype;
    const char *kernels; /* the instruction set by name; NULL: the best this machine has */
} mlp_spec;

/* ---- Data: the caller's buffers, read in place. Strides are in bytes and may be anything, negative and 0 included. */
typedef enum {
    MLP_BOOL,
    MLP_INT8,
    MLP_UINT8,
    MLP_INT16,
    MLP_UINT16,
    MLP_INT32,
    MLP_UINT32,
    MLP_INT64,
    MLP_UINT64,
    MLP_FLOAT16,
    MLP_FLOAT32,
    MLP_FLOAT64,
    MLP_CSR /* of x alone: data is an mlp_csr; type and shape say all else */
} mlp_type;

typedef struct {
    const void *data;
    mlp_type type;
    bool swapped; /* of the other byte order than this machine's */
    size_t n_rows, n_columns;
    ptrdiff_t row_stride, column_stride;
} mlp_rows;

/* Sparse rows: row i has values[k] in column indices[k] for pointers[i] <= k < pointers[i+1], in any order; those of
 * one column add up. Each part is one column. Indices and pointers are MLP_INT32 or MLP_INT64, on their boundaries, in
 * this machine's byte order; they are checked whenever they are read. */
typedef struct {
    mlp_rows values, indices; /* as many of each */
    mlp_rows pointers;        /* one more than there are rows */
} mlp_csr;

typedef struct {
    mlp_rows x;                 /* (B, n[0]) */
    mlp_rows y;                 /* (B, K) targets, or with labels (B, 1) whole numbers 0..K-1 */
    bool labels;                /* categorical_cross_entropy only */
    mlp_rows weight;            /* (B, 1) sample weights >= 0; .data NULL: all one */
    const double *class_weight; /* [K] (labels) or [2] (one binary output); NULL: all one */
} mlp_data;

/* ---- Calls: what one asks of its caller, and where it says what was wrong. */
typedef enum {
    MLP_OK,
    MLP_NO_MEMORY,
    MLP_INTERRUPTED, /* the poll or a hook said stop: after mlp_fit, at the last completed step */
    MLP_BAD_OUTPUT,  /* of a row: no number, so no label */
    MLP_BAD_X,
    MLP_BAD_Y,
    MLP_BAD_WEIGHT /* see row, column, reason of the call; the network is as it was, or where another thread spoilt data
                      that had been checked, at the last completed step */
} mlp_status;

/* See mlp.h. */
typedef struct mlp_pool mlp_pool;

/* A block of scratch that calls leave for each other, on any network: one at a time has it, the others take their own.
 * All zero at first. */
typedef struct {
    _Atomic(void *) block;
} mlp_shelf;

typedef struct {
    mlp_pool *pool;             /* NULL: this thread alone */
    size_t n_threads;           /* at most so many, this one included; the results do not depend on it */
    int (*poll)(void *context); /* called every millisecond or so of work; nonzero: stop. NULL: never */
    void *context;
    size_t row, column; /* out: the offending value's place; SIZE_MAX: the whole array, or row */
    bool validation;    /* out: it is in the validation data */
    char reason[112];   /* out: what it should have been ("a whole number from 0 to 9") */
    double work;        /* the core's own: arithmetic since the last poll; start with 0 */
    double shared;      /* and that threads were to share; start with 0 */
    mlp_shelf *shelf;   /* NULL: scratch is taken from the system anew */
} mlp_call;

/* ---- Results of reading. */
typedef struct { /* of mlp_evaluate; what is NULL is not computed */
    double *objective;
    void *gradient;        /* real [N], laid out like the parameters */
    void *input_gradient;  /* real (B, n[0]), C-contiguous */
    double *sample_losses; /* [B], each times its sample's weight */
} mlp_wanted;

/* One layer of a backward pass: real arrays, C-contiguous, of the shapes given; dW = A[l-1]^T dZ, without penalties. */
typedef struct {
    void *z, *a, *da, *dz; /* (B, n[l]) */
    void *dw;              /* (n[l-1], n[l]) */
    void *db;              /* (n[l],), also where the network has no biases */
} mlp_record;

/* ---- Training. */
typedef struct {
    const char *rule;     /* sgd, adam, adamw, rmsprop, rprop, lbfgs; each reads the fields it names below */
    double learning_rate; /* all but lbfgs */
    double clip_norm;     /* sgd, adam, adamw, rmsprop: gradient times min(1, c / (norm + 1e-6)); 0: off */
    double momentum;      /* sgd, rmsprop */
    bool nesterov;        /* sgd */
    bool classic; /* sgd: the velocity holds steps, rate included; adam: epsilon is added before the bias correction */
    double beta_1, beta_2, epsilon;                 /* adam, adamw; epsilon: rmsprop too */
    double weight_decay;                            /* adamw, weights only */
    double rho;                                     /* rmsprop */
    double eta_minus, eta_plus, step_min, step_max; /* rprop */
    size_t history_size;                            /* lbfgs */
    double tolerance;                               /* lbfgs: converged when no element of the gradient is larger */
} mlp_optimizer;

typedef enum {
    MLP_CONSTANT,
    MLP_STEP_DECAY,
    MLP_EXPONENTIAL_DECAY,
    MLP_COSINE_DECAY,
    MLP_INVERSE_SCALING,
    MLP_ONE_CYCLE,
    MLP_REDUCE_ON_PLATEAU,
    MLP_SCHEDULE_HOOK /* mlp_hooks.multiplier, which must be there */
} mlp_schedule_kind;

typedef enum { MLP_LOSS, MLP_VALIDATION_LOSS, MLP_HOOK_VALUE } mlp_monitor; /* what is watched */

typedef struct { /* multiplies the learning rate; e = epochs since the network's start */
    mlp_schedule_kind kind;
    double factor;               /* step: factor^floor(e / every); exponential: factor^e; plateau: at each reduction */
    double epochs;               /* step: every; cosine, one-cycle: the length of the course */
    double minimum, warmup;      /* cosine: final multiplier and epochs of linear rise; plateau: minimum */
    double power;                /* inverse scaling: (e + 1)^-power */
    double peak, start_fraction; /* one-cycle: highest multiplier, fraction of the course spent rising to it */
    mlp_monitor monitor;         /* plateau: the first `patience` epochs not < best - min_delta are let pass */
    double patience, min_delta;
} mlp_schedule;

typedef struct { /* early stopping; off while patience is 0 */
    mlp_monitor monitor;
    bool maximize;     /* larger is better */
    uint64_t patience; /* epochs without an improvement by more than min_delta */
    double min_delta;
    bool restore_best; /* parameters and optimizer state of the best epoch at the end */
} mlp_stopping;

typedef struct {                                 /* one epoch, as the hook sees it */
    uint64_t epoch;                              /* the number of epochs completed, this one included */
    double loss, validation_loss, learning_rate; /* validation_loss: NaN where there is none */
    double stopping_value; /* the hook sets it where stopping watches MLP_HOOK_VALUE; where the plateau does, it sets
                            * mlp_progress.plateau_value */
} mlp_epoch;

typedef struct { /* what training asks of its caller, each at most once an epoch; nonzero: interrupt */
    int (*multiplier)(void *context, uint64_t epoch, double *multiplier); /* before an epoch (from 0) */
    int (*epoch_end)(void *context, mlp_epoch *epoch, bool *stop); /* may read the network and write parameters */
    void *context;
} mlp_hooks;

typedef struct { /* a source of random bits, as NumPy's bitgen_t */
    void *state;
    uint64_t (*next_uint64)(void *state);
    uint32_t (*next_uint32)(void *state);
} mlp_random;

typedef struct {
    uint64_t epochs;
    size_t batch_size;            /* 0: all rows */
    const mlp_random *shuffle;    /* NULL: rows in order; a full batch never shuffles */
    const mlp_data *validation;   /* judged after each epoch, without penalties; or NULL */
    const mlp_schedule *schedule; /* NULL: constant */
    mlp_stopping stopping;
    const mlp_hooks *hooks; /* or NULL */
    /* scikit-learn's run: an epoch shuffles the order of the one before, a full batch's too; its loss averages the
     * batches by their rows, whatever those weigh, with the probabilities of cross-entropies kept off 0 and 1 by the
     * epsilon of real */
    bool as_sklearn;
    bool partial; /* one pass that does not count as an epoch: no history, no epoch_end, no stopping */
} mlp_fit_settings;

typedef enum { MLP_EPOCHS, MLP_EARLY_STOPPING, MLP_CALLBACK, MLP_CONVERGED, MLP_DIVERGED } mlp_stop_reason;

typedef struct {
    mlp_stop_reason reason;
    uint64_t best_epoch; /* early stopping: counted like mlp_epoch.epoch; else 0 */
    uint64_t diverged_epoch,
        diverged_step; /* diverged: the epoch (from 1) and step (from 1 within it) that went wrong */
} mlp_fit_result;

/* ---- What a network carries beside its parameters: all that saving and copying must keep. */
typedef struct {
    uint64_t epoch, step;    /* completed, over the network's life */
    uint64_t optimizer_step; /* since the optimizer's state was last empty */
    uint64_t dropout_key;    /* the caller's to set, once, at random */
    double plateau_best, plateau_multiplier;
    double plateau_value; /* what a hook said of the last epoch, until the next one begins with it; -inf: nothing */
    uint64_t plateau_wait;
    uint64_t pairs, newest_pair; /* lbfgs: how many are held, and the place of the last one */
} mlp_progress;

typedef struct { /* one element an epoch */
    size_t n_epochs;
    double *loss, *validation_loss, *learning_rate;
} mlp_history;

#endif
