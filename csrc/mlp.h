/* mlp.h: multilayer perceptrons in C; the whole public interface of the core.
 *
 * The core computes. It knows nothing of Python, prints nothing, never exits, keeps no pointer of the caller's after a
 * call returns and has no global state. One network may be read by many threads at once, or changed by one.
 *
 *     #include "mlp.h"
 *
 *     double xor_x[4][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}}, xor_y[4] = {0, 1, 1, 0}, out[4];
 *     mlp_spec spec = {.n_layers = 2, .layer_sizes = (size_t[]){2, 3, 1}, .activations = (const char *[]){"tanh", "sigmoid"},
 *                      .loss = "binary_cross_entropy", .bias = true, .dtype = MLP_F64};
 *     if (mlp_check(&spec) != NULL) return 1;                        // the reason, as text
 *     mlp_network *net = mlp_create(&spec);                          // NULL: no memory
 *     double *w = mlp_parameters(net);                               // W[1], b[1], W[2], b[2]: zeros, yours to set
 *     for (size_t i = 0; i < mlp_n_parameters(net); i++) w[i] = (double)(i * 7 % 5) - 1.9;
 *     mlp_set_optimizer(net, &(mlp_optimizer){.rule = "sgd", .learning_rate = 1.0});
 *     mlp_data data = {.x = {xor_x, MLP_FLOAT64, false, 4, 2, 16, 8}, .y = {xor_y, MLP_FLOAT64, false, 4, 1, 8, 8}};
 *     mlp_call call = {0};
 *     mlp_fit_result result;
 *     mlp_status status = mlp_fit(net, &data, &(mlp_fit_settings){.epochs = 2000}, &result, &call);
 *     if (status == MLP_OK) status = mlp_forward(net, (void *[]){NULL, out}, &data.x, &call);
 *     mlp_destroy(net);                                              // out is now close to xor_y
 *
 * Dimensions, here and in every file of the core:
 *     L layers of weights; n[0..L] units, n[0] inputs; B rows of a batch (rows are samples); K = n[L] outputs; N parameters.
 *     W[l] is (n[l-1], n[l]), row-major; b[l] is (n[l],);  Z[l] = A[l-1] W[l] + b[l],  A[l] = g[l](Z[l]),  A[0] = X.
 * "real" below is float or double, whichever the network's dtype says. */
#ifndef MLP_H
#define MLP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
    double l1, l2;                  /* penalties on the weights, >= 0 */
    const double *dropout;          /* [L-1] rate after each hidden layer, in [0, 1); NULL: none */
    bool bias;
    mlp_dtype dtype;
    const char *kernels; /* the instruction set by name; NULL: the best this machine has */
} mlp_spec;

const char *mlp_check(const mlp_spec *spec);   /* NULL, or what is wrong with it */
mlp_network *mlp_create(const mlp_spec *spec); /* of a checked spec; parameters zero; NULL: no memory */
void mlp_destroy(mlp_network *network);        /* NULL is fine */
size_t mlp_n_parameters(const mlp_network *network);
void *mlp_parameters(mlp_network *network); /* real [N]: W[1], b[1], W[2], ...; valid until mlp_destroy */
bool mlp_is_finite(const mlp_network *network, const void *vector); /* real [N]: no NaN, no infinity */
size_t mlp_weights_at(const mlp_network *network, size_t layer);    /* where W[l] begins in that block, 1 <= l <= L */
size_t mlp_biases_at(const mlp_network *network, size_t layer);     /* where b[l] begins */

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
    MLP_FLOAT64
} mlp_type;

typedef struct {
    const void *data;
    mlp_type type;
    bool swapped; /* of the other byte order than this machine's */
    size_t n_rows, n_columns;
    ptrdiff_t row_stride, column_stride;
} mlp_rows;

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
    MLP_INTERRUPTED, /* a hook said stop: the network is at the last completed step */
    MLP_BAD_X,
    MLP_BAD_Y,
    MLP_BAD_WEIGHT /* see row, column, reason of the call; the network is as it was */
} mlp_status;

/* Worker threads, started as they are needed; one pool serves any number of networks. Not to be used after fork. */
typedef struct mlp_pool mlp_pool;
mlp_pool *mlp_pool_create(void); /* NULL: no memory */
void mlp_pool_destroy(mlp_pool *pool);

typedef struct {
    mlp_pool *pool;             /* NULL: this thread alone */
    size_t n_threads;           /* at most so many, this one included; the results do not depend on it */
    int (*poll)(void *context); /* called every millisecond or so of work; nonzero: stop. NULL: never */
    void *context;
    size_t row, column; /* out: the offending value's place; SIZE_MAX: the whole array, or row */
    bool validation;    /* out: it is in the validation data */
    char reason[112];   /* out: what it should have been ("a whole number from 0 to 9") */
    double work;        /* the core's own: arithmetic since the last poll; start with 0 */
} mlp_call;

/* ---- Reading a network. */

/* A[l] for every l with activations[l-1] not NULL: real (B, n[l]), C-contiguous. activations is [L]. */
mlp_status mlp_forward(const mlp_network *network, void *const *activations, const mlp_rows *x, mlp_call *call);

/* Classes from outputs = A[L], real (B, K). Under categorical_cross_entropy labels[i] is the first largest output of row i;
 * under binary_cross_entropy labels is (B, K): outputs[i][k] >= thresholds[k]. A row with NaN: MLP_BAD_X, its row set. */
mlp_status mlp_labels(const mlp_network *network, int64_t *labels, const void *outputs, size_t n_rows,
                      const double *thresholds, mlp_call *call);

/* The objective (data term, reduced, plus l1 sum|W| + l2/2 sum W^2) and its gradients; what is NULL is not computed.
 * parameters: real [N] to evaluate at; NULL: the network's own. */
typedef struct {
    double *objective;
    void *gradient;        /* real [N], laid out like the parameters */
    void *input_gradient;  /* real (B, n[0]), C-contiguous */
    double *sample_losses; /* [B], unweighted */
} mlp_wanted;
mlp_status mlp_evaluate(const mlp_network *network, const mlp_wanted *wanted, const void *parameters,
                        const mlp_data *data, mlp_call *call);

/* One layer of a backward pass: real arrays, C-contiguous, of the shapes given; dW = A[l-1]^T dZ, without penalties. */
typedef struct {
    void *z, *a, *da, *dz; /* (B, n[l]) */
    void *dw;              /* (n[l-1], n[l]) */
    void *db;              /* (n[l],), also where the network has no biases */
} mlp_record;
mlp_status mlp_backpropagate(const mlp_network *network, const mlp_record *records /* [L] */, const mlp_data *data,
                             mlp_call *call);

/* ---- Training. */
typedef struct {
    const char *rule;               /* sgd, adam, adamw, rmsprop, rprop, lbfgs; each reads the fields it names below */
    double learning_rate;           /* all but lbfgs */
    double clip_norm;               /* sgd, adam, adamw, rmsprop: gradient times min(1, c / (norm + 1e-6)); 0: off */
    double momentum;                /* sgd, rmsprop */
    bool nesterov;                  /* sgd */
    double beta_1, beta_2, epsilon; /* adam, adamw; epsilon: rmsprop too */
    double weight_decay;            /* adamw, weights only */
    double rho;                     /* rmsprop */
    double eta_minus, eta_plus, step_min, step_max; /* rprop */
    size_t history_size;                            /* lbfgs */
    double tolerance;                               /* lbfgs: converged when no element of the gradient is larger */
} mlp_optimizer;
/* NULL, or what is wrong. The same rule as before keeps its state (for lbfgs: with the same history_size). */
const char *mlp_set_optimizer(mlp_network *network, const mlp_optimizer *optimizer);

typedef enum {
    MLP_CONSTANT,
    MLP_STEP_DECAY,
    MLP_EXPONENTIAL_DECAY,
    MLP_COSINE_DECAY,
    MLP_INVERSE_SCALING,
    MLP_ONE_CYCLE,
    MLP_REDUCE_ON_PLATEAU,
    MLP_SCHEDULE_HOOK /* mlp_hooks.multiplier */
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
/* The multiplier of a step that starts e epochs after the start and takes `step` of an epoch (the warm-up's first step is
 * not at rate 0); fractions count for cosine, warm-up and one-cycle; not for plateau and hook. */
double mlp_multiplier(const mlp_schedule *schedule, double epochs, double step);

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
    double stopping_value, plateau_value;        /* the hook sets them where MLP_HOOK_VALUE is watched */
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
    bool partial;           /* one pass that does not count as an epoch: no history, no epoch_end, no stopping */
} mlp_fit_settings;

typedef enum { MLP_EPOCHS, MLP_EARLY_STOPPING, MLP_CALLBACK, MLP_CONVERGED, MLP_DIVERGED } mlp_stop_reason;

typedef struct {
    mlp_stop_reason reason;
    uint64_t best_epoch; /* early stopping: counted like mlp_epoch.epoch; else 0 */
    uint64_t diverged_epoch,
        diverged_step; /* diverged: the epoch (from 1) and step (from 1 within it) that went wrong */
} mlp_fit_result;

mlp_status mlp_fit(mlp_network *network, const mlp_data *data, const mlp_fit_settings *settings, mlp_fit_result *result,
                   mlp_call *call);

/* ---- What a network carries beside its parameters: all that saving and copying must keep. */
typedef struct {
    uint64_t epoch, step;    /* completed, over the network's life */
    uint64_t optimizer_step; /* since the optimizer's state was last empty */
    uint64_t dropout_key;    /* the caller's to set, once, at random */
    double plateau_best, plateau_multiplier;
    uint64_t plateau_wait;
    uint64_t pairs, newest_pair; /* lbfgs: how many are held, and the place of the last one */
} mlp_progress;
mlp_progress *mlp_progress_of(mlp_network *network);
uint64_t mlp_evaluations(const mlp_network *network); /* of objective and gradient by training; not kept by saving */
void *mlp_optimizer_state(mlp_network *network, size_t *n); /* real [n]; NULL with n = 0 where there is none yet */

typedef struct { /* one element an epoch */
    size_t n_epochs;
    double *loss, *validation_loss, *learning_rate;
} mlp_history;
const mlp_history *mlp_history_of(const mlp_network *network);
bool mlp_history_append(mlp_network *network, double loss, double validation_loss, double learning_rate);

void mlp_reset(mlp_network *network); /* forgets optimizer state, progress and history; parameters stay */

/* ---- About. */
const char *mlp_activation_name(size_t i); /* NULL past the last one; so with the others */
const char *mlp_loss_name(size_t i);
const char *mlp_loss_activation(const char *loss); /* the output activation that belongs to a loss */
const char *mlp_kernels_available(size_t i);       /* on this machine, the best first */
const char *mlp_kernels_name(const mlp_network *network);
double mlp_work(const mlp_network *network, size_t n_rows, bool gradient); /* floating-point operations, about */

#endif
