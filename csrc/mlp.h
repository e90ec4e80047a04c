/* mlp.h: multilayer perceptrons in C; the whole public interface of the core.
 *
 * The core computes. It knows nothing of Python, prints nothing, never exits, keeps no pointer of the caller's after a
 * call returns and has no global state but a count of forks. One network may be read by many threads at once, or
 * changed by one.
 *
 *     #include "mlp.h"
 *
 *     double xor_x[4][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}}, xor_y[4] = {0, 1, 1, 0}, out[4];
 *     mlp_spec spec = {.n_layers = 2, .layer_sizes = (size_t[]){2, 3, 1},
 *                      .activations = (const char *[]){"tanh", "sigmoid"},
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
 *     L layers of weights; n[0..L] units, n[0] inputs; B >= 1 rows of a batch (rows are samples); K = n[L] outputs;
 *     N parameters.
 *     W[l] is (n[l-1], n[l]), row-major; b[l] is (n[l],);  Z[l] = A[l-1] W[l] + b[l],  A[l] = g[l](Z[l]),  A[0] = X.
 * "real" below is float or double, whichever the network's dtype says. The structures are in mlp_types.h. */
#ifndef MLP_H
#define MLP_H

#include "mlp_types.h"

/* ---- A network. */
const char *mlp_check(const mlp_spec *spec);   /* NULL, or what is wrong with it */
mlp_network *mlp_create(const mlp_spec *spec); /* of a checked spec; parameters zero, plain sgd; NULL: no memory */
void mlp_destroy(mlp_network *network);        /* NULL is fine */
size_t mlp_n_parameters(const mlp_network *network);
void *mlp_parameters(mlp_network *network); /* real [N]: W[1], b[1], W[2], ...; valid until mlp_destroy */
bool mlp_is_finite(const mlp_network *network, const void *vector); /* real [N]: no NaN, no infinity */
size_t mlp_weights_at(const mlp_network *network, size_t layer);    /* where W[l] begins in that block, 1 <= l <= L */
size_t mlp_biases_at(const mlp_network *network, size_t layer);     /* where b[l] begins */

/* ---- Threads: workers, started as they are needed; one pool serves any number of networks. In a forked child it has
 * none: calls run on their own thread, and it must not be destroyed. A poll that forks must stop its call in the
 * child. */
bool mlp_watch_forks(void);                     /* mlp_pool_create does it, too; false: no memory */
size_t mlp_forks(void);                         /* of this process since then: a child has one more */
mlp_pool *mlp_pool_create(size_t n_processors); /* at least 1, whatever it says; NULL: no memory */
void mlp_pool_destroy(mlp_pool *pool);
/* Around a thread's own calls, where several threads may have some at once: they share the processors then. */
void mlp_pool_enter(mlp_pool *pool);
void mlp_pool_leave(mlp_pool *pool);

/* ---- Reading a network. */

/* A[l] for every l with activations[l-1] not NULL: real (B, n[l]), C-contiguous. activations is [L]. */
mlp_status mlp_forward(const mlp_network *network, void *const *activations, const mlp_rows *x, mlp_call *call);

/* Classes of a network with a cross-entropy. Categorical: labels[i] is the first largest output of row i; binary:
 * labels is (B, K), whether outputs[i][k] >= thresholds[k]. MLP_BAD_OUTPUT: the first row with NaN is call->row. */
mlp_status mlp_predict(const mlp_network *network, int64_t *labels, const double *thresholds, const mlp_rows *x,
                       mlp_call *call);

/* A[0] = x as the network sees it: real (B, n[0]), C-contiguous. */
mlp_status mlp_input(const mlp_network *network, void *a, const mlp_rows *x, mlp_call *call);
double mlp_element(const mlp_rows *rows, size_t row, size_t column); /* one value; NaN where a row is none */

/* The objective (data term, reduced, plus l1 sum|W| + l2/2 sum W^2) and its gradients; what is NULL is not computed.
 * parameters: real [N] to evaluate at; NULL: the network's own. */
mlp_status mlp_evaluate(const mlp_network *network, const mlp_wanted *wanted, const void *parameters,
                        const mlp_data *data, mlp_call *call);

/* Fills one record a layer. */
mlp_status mlp_backpropagate(const mlp_network *network, const mlp_record *records /* [L] */, const mlp_data *data,
                             mlp_call *call);

/* ---- Training. */
/* NULL, or what is wrong. The same rule as before keeps its state (lbfgs of another history_size: its newest pairs;
 * sgd: only with the same `classic`); else that and what the schedule has come to start anew. */
#define MLP_NO_MEMORY_FOR_STATE "not enough memory for the optimizer's state"
const char *mlp_set_optimizer(mlp_network *network, const mlp_optimizer *optimizer);

/* The multiplier of a step that starts e epochs after the start and takes `step` of an epoch (the warm-up's first step
 * is not at rate 0); fractions count for cosine, warm-up and one-cycle; not for plateau and hook. */
double mlp_multiplier(const mlp_schedule *schedule, double epochs, double step);

/* Trains from the parameters, optimizer state and counts that it finds. MLP_INTERRUPTED: at the last completed step, or
 * epoch where a hook ended it. Bad data leaves the network as it was. */
mlp_status mlp_fit(mlp_network *network, const mlp_data *data, const mlp_fit_settings *settings, mlp_fit_result *result,
                   mlp_call *call);

void mlp_release(mlp_network *network); /* frees what training has left for the next time */
void mlp_clear_shelf(mlp_shelf *shelf); /* frees its block, when the last call has ended */

/* ---- What a network carries beside its parameters: all that saving and copying must keep. */
mlp_progress *mlp_progress_of(mlp_network *network);
uint64_t mlp_evaluations(const mlp_network *network); /* of objective and gradient by training; not kept by saving */
void *mlp_optimizer_state(mlp_network *network, size_t *n); /* real [n]; NULL with n = 0 where there is none yet */
/* To n numbers: what the optimizer needs, or with a velocity that rests while its momentum is 0. NULL, or why not. */
const char *mlp_resize_state(mlp_network *network, size_t n);
const mlp_history *mlp_history_of(const mlp_network *network);
bool mlp_history_reserve(mlp_network *network, size_t n_epochs); /* room for so many in all; false: no memory */
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
