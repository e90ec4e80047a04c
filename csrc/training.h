/* training.h: what a training run is made of besides batches: steps, orders, schedules, and the way back. */
#ifndef MLP_TRAINING_H
#define MLP_TRAINING_H

#include "pass.h"

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
/* untouched: it can get no lower, and nothing has changed. */
mlp_status mlp_search_iterate(mlp_search *search, bool *converged, bool *untouched);
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
