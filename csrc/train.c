/* train.c: training runs: epochs, batches, steps, stopping. Everything between the caller's hooks happens here. */
#include "training.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    mlp_network *net;
    const mlp_fit_settings *settings;
    mlp_fit_result *result;
    mlp_call *call;
    mlp_data data, validation; /* as given, or settled in the blocks below */
    void *settled[6];
    size_t batch; /* rows of a step */
    mlp_crew *crew, *validation_crew;
    void *gradient;         /* real [N] */
    int64_t *order;         /* [n] where epochs are shuffled */
    bool online;            /* the steps are online.c's */
    bool fused;             /* a weight goes through its update as soon as its gradient is known */
    bool ordered;           /* `order` holds one of an epoch of this call */
    bool stays;             /* every step sees the same block of rows */
    bool paced;             /* there are two ways to make a step, and net->pace says which is taken */
    mlp_brief_steps *brief; /* or brief.c's: else NULL */
    mlp_search *search;     /* lbfgs */
    mlp_snapshot epoch_start, best;
    double best_value; /* at first worse than any */
    uint64_t waited;   /* epochs since the best one */
} training;

/* What an epoch comes to. */
typedef struct {
    double loss, validation_loss, learning_rate;
    bool diverged, converged, untouched; /* untouched: converged without a step */
    uint64_t step;                       /* within the epoch, from 1 */
} epoch_report;

/* ---- Steps. */

/* What a pass over the parameters takes for each, in operations of a product. */
#define PASS_WORK 10.0

/* The update is to add the penalties' gradient. */
static void set_penalty(mlp_update *update, const mlp_network *net, const mlp_sums *sums) {
    double factor = mlp_penalty_factor(net, sums);
    update->l1 = net->l1 * factor;
    update->l2 = net->l2 * factor;
}

/* The sums of a batch, its penalty, and the gradient of the sums in t->gradient. */
static mlp_status look_at_batch(training *t, size_t first, size_t n, mlp_sums *sums, double *penalty) {
    mlp_network *net = t->net;
    mlp_batch batch = {.data = &t->data, .order = t->order, .first = first, .n = n, .stays = t->stays};
    mlp_status status;
    if (t->brief != NULL) {
        status = mlp_run_brief(t->brief, &batch, t->gradient, sums);
    } else {
        mlp_outputs_wanted wanted = {.gradient = t->gradient, .clipped = t->settings->as_sklearn && t->search == NULL};
        status = mlp_run_batch(t->crew, &batch, &wanted, sums);
    }
    if (status != MLP_OK) {
        return status;
    }
    net->evaluations++;
    *penalty = 0;
    if (net->l1 == 0 && net->l2 == 0) {
        return MLP_OK;
    }
    *penalty = mlp_penalty(net, sums, net->parameters);
    return mlp_pause(t->call, PASS_WORK * (double)net->n_parameters) ? MLP_INTERRUPTED : MLP_OK;
}

/* The same, and the weights' step: all or nothing, so the caller is not asked meanwhile. */
static mlp_status fuse_batch(training *t, size_t first, size_t n, mlp_update *update, mlp_sums *sums, double *penalty) {
    mlp_network *net = t->net;
    mlp_batch batch = {.data = &t->data, .order = t->order, .first = first, .n = n};
    mlp_outputs_wanted wanted = {.gradient = t->gradient, .clipped = t->settings->as_sklearn, .update = update};
    mlp_sums all = {.weight = (double)n};
    *penalty = mlp_penalty(net, &all, net->parameters);
    set_penalty(update, net, &all);
    int (*poll)(void *) = t->call->poll;
    t->call->poll = NULL;
    mlp_status status = mlp_run_batch(t->crew, &batch, &wanted, sums);
    t->call->poll = poll;
    net->evaluations += status == MLP_OK;
    return status;
}

/* Pascanu, Mikolov and Bengio (2013), with PyTorch's small number under the norm, which is that of the penalised
 * gradient. */
static mlp_status clip(training *t, const mlp_sums *sums) {
    const mlp_network *net = t->net;
    mlp_add_penalty_gradient(net, sums, net->parameters, t->gradient);
    double norm = sqrt(net->kernels->sum_squares(t->gradient, net->n_parameters));
    double factor = isfinite(norm) ? net->optimizer.clip_norm / (norm + 1e-6) : (double)NAN; /* no step of 0 */
    if (!(factor >= 1.0)) {
        net->kernels->scale(t->gradient, factor, net->n_parameters);
    }
    return mlp_pause(t->call, PASS_WORK * (double)net->n_parameters) ? MLP_INTERRUPTED : MLP_OK;
}

/* The multiplier of a step that starts `part` of the way through the epoch. */
static double multiplier_at(const training *t, double hooked, double part, double step) {
    const mlp_schedule *schedule = t->settings->schedule;
    if (schedule == NULL) {
        return 1.0;
    }
    if (schedule->kind == MLP_SCHEDULE_HOOK) {
        return hooked;
    }
    if (schedule->kind == MLP_REDUCE_ON_PLATEAU) {
        return t->net->progress.plateau_multiplier;
    }
    return mlp_multiplier(schedule, (double)t->net->progress.epoch + part, step);
}

/* An epoch whose steps are plain gradient descent on one sample each. */
static mlp_status run_samples(training *t, double hooked, epoch_report *report) {
    mlp_network *net = t->net;
    size_t n = t->data.x.n_rows, steps = 0;
    double loss = 0, rate = net->optimizer.learning_rate * multiplier_at(t, hooked, 0, 1.0 / (double)n);
    mlp_status status = mlp_run_online(net, &t->data, t->order, rate, &steps, &loss, t->call);
    net->progress.step += steps;
    net->progress.optimizer_step += steps;
    report->diverged = status == MLP_OK && steps < n;
    report->step = steps + report->diverged;
    net->evaluations += report->step;
    report->learning_rate = rate;
    report->loss = net->sum ? loss : loss / (double)n;
    return status;
}

static mlp_status run_steps(training *t, double hooked, epoch_report *report) {
    mlp_network *net = t->net;
    size_t n = t->data.x.n_rows, n_steps = (n + t->batch - 1) / t->batch;
    double loss = 0, weight = 0, penalties = 0, fraction = 1.0 / (double)n_steps;
    double last = t->paced ? mlp_seconds() : 0;
    for (size_t s = 0; s < n_steps; s++) {
        size_t first = s * t->batch, rows = mlp_min(n - first, t->batch);
        mlp_sums sums;
        double penalty;
        double rate = net->optimizer.learning_rate * multiplier_at(t, hooked, (double)s * fraction, fraction);
        mlp_update update = mlp_make_update(net, rate);
        mlp_status status = t->fused ? fuse_batch(t, first, rows, &update, &sums, &penalty)
                                     : look_at_batch(t, first, rows, &sums, &penalty);
        if (status != MLP_OK) {
            return status;
        }
        report->step = s + 1;
        if (!isfinite(sums.loss + penalty)) {
            report->diverged = true;
            return MLP_OK;
        }
        if (t->settings->as_sklearn) {
            loss += (double)rows * (mlp_data_term(net, &sums) + penalty);
            weight += (double)rows;
        } else {
            loss += sums.loss + (net->sum ? 0.0 : sums.weight * penalty);
            weight += sums.weight;
        }
        penalties += penalty;
        if (s == 0) {
            report->learning_rate = rate;
        }
        if (net->optimizer.clip_norm > 0) {
            status = clip(t, &sums);
            if (status != MLP_OK) {
                return status;
            }
        } else if (!t->fused) {
            set_penalty(&update, net, &sums);
        }
        mlp_step(net, t->gradient, &update, t->fused, t->call);
        net->progress.step++;
        net->progress.optimizer_step++;
        if (mlp_pause(t->call, PASS_WORK * (double)net->n_parameters)) {
            return MLP_INTERRUPTED;
        }
        if (t->paced && rows == t->batch) {
            double now = mlp_seconds();
            mlp_pace_step(&net->pace, now - last);
            t->call->n_threads = mlp_pace_threads(&net->pace);
            last = now;
        }
    }
    report->loss = net->sum ? loss + penalties * fraction : loss / weight;
    return MLP_OK;
}

/* The objective of a full batch and its gradient, for the search. */
static mlp_status full_objective(void *context, double *value, void *gradient) {
    training *t = context;
    void *own = t->gradient;
    t->gradient = gradient;
    mlp_sums sums;
    double penalty = 0;
    mlp_status status = look_at_batch(t, 0, t->data.x.n_rows, &sums, &penalty);
    t->gradient = own;
    if (status == MLP_OK) {
        mlp_add_penalty_gradient(t->net, &sums, t->net->parameters, gradient);
    }
    *value = mlp_data_term(t->net, &sums) + penalty;
    return status;
}

static mlp_status run_iteration(training *t, epoch_report *report) {
    report->learning_rate = 1.0;
    report->step = 1;
    mlp_status status = mlp_search_start(t->search, &report->loss, &report->untouched);
    report->diverged = !isfinite(report->loss);
    if (status != MLP_OK || report->untouched || report->diverged) {
        return status;
    }
    status = mlp_search_iterate(t->search, &report->converged, &report->untouched);
    t->net->progress.step += status == MLP_OK && !report->untouched ? 1 : 0;
    return status;
}

/* ---- Epochs. */

/* What a hook has said of the last epoch counts now, if the schedule watches it, and never again. */
static void use_plateau_value(mlp_progress *progress, const mlp_schedule *schedule) {
    double value = progress->plateau_value;
    progress->plateau_value = -HUGE_VAL;
    bool watches = schedule != NULL && schedule->kind == MLP_REDUCE_ON_PLATEAU && schedule->monitor == MLP_HOOK_VALUE;
    if (watches && value > -HUGE_VAL) {
        mlp_plateau_step(progress, schedule, value);
    }
}

/* What an epoch can be taken back to, and the order of its rows. */
static mlp_status begin_epoch(training *t) {
    if (!mlp_snapshot_take(&t->epoch_start, t->net, t->call)) {
        return MLP_INTERRUPTED;
    }
    if (t->order != NULL) {
        bool anew = !t->settings->as_sklearn || !t->ordered;
        if (!mlp_permute(t->order, t->data.x.n_rows, anew, t->settings->shuffle, t->call)) {
            return MLP_INTERRUPTED;
        }
        t->ordered = true;
    }
    return MLP_OK;
}

/* Parameters, or means of squares: one of those would hold its weight where it is. */
static bool has_overflowed(const mlp_network *net) {
    size_t n = net->n_parameters, squares = net->rule->squares;
    return !net->kernels->all_finite(net->parameters, n) ||
           (squares != 0 && !net->kernels->all_finite(mlp_at(net, net->state, (squares - 1) * n), n));
}

static mlp_status run_epoch(training *t, epoch_report *report) {
    mlp_network *net = t->net;
    double hooked = 1.0;
    const mlp_schedule *schedule = t->settings->schedule;
    if (schedule != NULL && schedule->kind == MLP_SCHEDULE_HOOK) {
        const mlp_hooks *hooks = t->settings->hooks;
        if (hooks->multiplier(hooks->context, net->progress.epoch, &hooked) != 0) {
            return MLP_INTERRUPTED;
        }
    }
    use_plateau_value(&net->progress, schedule);
    size_t n_threads = t->call->n_threads;
    if (t->paced) {
        t->call->n_threads = mlp_pace_threads(&net->pace);
    }
    mlp_status status = begin_epoch(t);
    if (status == MLP_OK) {
        status = t->search != NULL ? run_iteration(t, report)
                 : t->online       ? run_samples(t, hooked, report)
                                   : run_steps(t, hooked, report);
    }
    t->call->n_threads = n_threads;
    if (status == MLP_OK && has_overflowed(net)) {
        report->diverged = true;
    }
    report->validation_loss = (double)NAN;
    if (status == MLP_OK && t->validation_crew != NULL && !report->diverged && !report->untouched) {
        mlp_batch batch = {.data = &t->validation, .n = t->validation.x.n_rows};
        mlp_sums sums;
        status = mlp_run_batch(t->validation_crew, &batch, &(mlp_outputs_wanted){0}, &sums);
        report->validation_loss = mlp_data_term(net, &sums);
        t->call->validation = status != MLP_OK;
    }
    return status;
}

static double watched(mlp_monitor monitor, const epoch_report *report, double hooked) {
    return monitor == MLP_LOSS ? report->loss : monitor == MLP_VALIDATION_LOSS ? report->validation_loss : hooked;
}

/* What early stopping makes of the epoch; *out: patience has run out. */
static mlp_status keep_watch(training *t, double value, bool *out) {
    const mlp_stopping *stopping = &t->settings->stopping;
    bool better =
        stopping->maximize ? value > t->best_value + stopping->min_delta : value < t->best_value - stopping->min_delta;
    if (better) {
        t->best_value = value;
        t->result->best_epoch = t->net->progress.epoch;
        t->waited = 0;
        /* Half of a new best would be no best at all; but a fit that is interrupted does not go back to it. */
        return stopping->restore_best && !mlp_snapshot_take(&t->best, t->net, t->call) ? MLP_INTERRUPTED : MLP_OK;
    }
    *out = ++t->waited >= stopping->patience;
    return MLP_OK;
}

/* History, schedule, hook and stopping, once an epoch is complete. */
static mlp_status end_epoch(training *t, const epoch_report *report, bool *stop) {
    mlp_network *net = t->net;
    const mlp_fit_settings *settings = t->settings;
    const mlp_schedule *schedule = settings->schedule;
    if (!mlp_history_append(net, report->loss, report->validation_loss, report->learning_rate)) {
        return MLP_NO_MEMORY;
    }
    net->progress.epoch++;
    if (schedule != NULL && schedule->kind == MLP_REDUCE_ON_PLATEAU && schedule->monitor != MLP_HOOK_VALUE) {
        mlp_plateau_step(&net->progress, schedule, watched(schedule->monitor, report, 0));
    }
    mlp_epoch epoch = {.epoch = net->progress.epoch,
                       .loss = report->loss,
                       .validation_loss = report->validation_loss,
                       .learning_rate = report->learning_rate,
                       .stopping_value = (double)NAN};
    if (settings->hooks != NULL && settings->hooks->epoch_end != NULL) {
        bool asked = false;
        if (settings->hooks->epoch_end(settings->hooks->context, &epoch, &asked) != 0) {
            return MLP_INTERRUPTED;
        }
        if (t->search != NULL) {
            mlp_search_check_point(t->search);
        }
        if (asked) {
            t->result->reason = MLP_CALLBACK;
            *stop = true;
        }
    }
    bool out = false;
    mlp_status status = MLP_OK;
    if (settings->stopping.patience > 0) {
        status = keep_watch(t, watched(settings->stopping.monitor, report, epoch.stopping_value), &out);
    }
    if (out && !*stop) {
        t->result->reason = MLP_EARLY_STOPPING;
        *stop = true;
    }
    if (report->converged && !*stop) {
        t->result->reason = MLP_CONVERGED;
        *stop = true;
    }
    return status;
}

static void take_back(training *t, const epoch_report *report) {
    mlp_snapshot_restore(&t->epoch_start, t->net);
    t->net->progress.step = t->epoch_start.progress.step;
    t->result->reason = MLP_DIVERGED;
    t->result->diverged_epoch = t->net->progress.epoch + 1;
    t->result->diverged_step = report->step;
}

static mlp_status run_epochs(training *t) {
    bool stop = false;
    uint64_t epochs = t->settings->partial ? 1 : t->settings->epochs;
    for (uint64_t e = 0; e < epochs && !stop; e++) {
        epoch_report report = {0};
        bool has_row = mlp_history_reserve(t->net, t->net->history.n_epochs + 1);
        mlp_status status = has_row ? run_epoch(t, &report) : MLP_NO_MEMORY;
        if (status != MLP_OK) {
            return status;
        }
        if (report.diverged) {
            take_back(t, &report);
            stop = true;
        } else if (report.untouched) {
            t->result->reason = MLP_CONVERGED;
            stop = true;
        } else if (!t->settings->partial) {
            status = end_epoch(t, &report, &stop);
            if (status != MLP_OK) {
                return status;
            }
        }
    }
    if (t->best.taken) {
        mlp_snapshot_restore(&t->best, t->net);
    }
    return MLP_OK;
}

/* ---- Beginning and end. */

/* The weights of samples times those of their classes, once for all steps, where they fit like settled rows do: their
 * labels are settled too. */
static bool settle_class_weights(const mlp_network *net, mlp_data *data, void **settled) {
    size_t n = data->x.n_rows, n_classes = data->labels ? mlp_outputs(net) : 2;
    if (data->class_weight == NULL || n > MLP_TILE_BYTES / sizeof(double)) {
        return true;
    }
    double *weights = mlp_reserve(n, sizeof *weights);
    if (weights == NULL) {
        return false;
    }
    mlp_read_doubles(&data->y, NULL, 0, n, weights);
    mlp_call complaint;
    for (size_t i = 0; i < n; i++) {
        double own = 1.0, label = weights[i];
        if (mlp_check_label(label, n_classes, i, &complaint) != MLP_OK) { /* whoever reads it complains */
            free(weights);
            return true;
        }
        if (data->weight.data != NULL) {
            mlp_read_doubles(&data->weight, NULL, i, 1, &own);
        }
        weights[i] = own * data->class_weight[(size_t)label];
    }
    *settled = weights;
    data->class_weight = NULL;
    data->weight = (mlp_rows){.data = weights,
                              .type = MLP_FLOAT64,
                              .n_rows = n,
                              .n_columns = 1,
                              .row_stride = sizeof(double),
                              .column_stride = sizeof(double)};
    return true;
}

static bool settle(training *t, mlp_data *data, bool by_columns, bool always, void **settled) {
    mlp_dtype dtype = t->net->dtype;
    bool of_classes = data->class_weight != NULL;
    return mlp_settle_rows(&data->x, dtype, by_columns, always, &settled[0]) &&
           mlp_settle_rows(&data->y, data->labels ? MLP_F64 : dtype, false, always || of_classes, &settled[1]) &&
           settle_class_weights(t->net, data, &settled[2]) &&
           (settled[2] != NULL || mlp_settle_rows(&data->weight, MLP_F64, false, always, &settled[2]));
}

/* Where every step sees the same block and computes little with it, reading it is a good part of the step: a copy of
 * all of it stays as it is. */
static bool settle_rows(training *t) {
    const mlp_data *data = &t->data;
    const mlp_plan *plan = &t->crew->members[0].pass->plan;
    bool by_columns = plan->lanes && t->order == NULL && !t->online && t->brief == NULL;
    bool same = plan->lanes && t->order == NULL && t->batch == data->x.n_rows && mlp_is_one_block(t->crew, t->batch);
    if (!settle(t, &t->data, by_columns, same, t->settled)) {
        return false;
    }
    bool weighted = data->weight.data != NULL;
    t->stays = same && t->settled[0] != NULL && t->settled[1] != NULL && (!weighted || t->settled[2] != NULL);
    return true;
}

/* Steps of more operations for each lane of a vector, 20 ms about, are not fused, which cannot be interrupted, nor
 * tried both ways: their caller would wait. */
static const double longest_step = 1e8;

static bool is_short(const training *t) {
    double work = mlp_work(t->net, t->batch, true) + PASS_WORK * (double)t->net->n_parameters;
    return work <= longest_step * (double)t->net->kernels->lanes;
}

static bool fuses(const training *t) {
    const mlp_network *net = t->net;
    const mlp_plan *plan = &t->crew->members[0].pass->plan;
    bool plain = net->optimizer.clip_norm == 0 && net->l1 == 0 && !(net->l2 > 0 && mlp_is_weighted(&t->data));
    bool fused = mlp_is_fusible(net) || t->crew->by_parts; /* threads that have parts wait once less for each other */
    for (size_t l = 1; l <= net->n_layers; l++) {
        fused = fused || mlp_steps_by_rows(net, &net->layers[l], t->batch);
    }
    return fused && plain && !plan->lanes && mlp_is_one_block(t->crew, t->batch) && is_short(t);
}

/* Fewer steps are not worth their preparation. */
enum { BRIEF_STEPS = 4 };

static bool is_brief(const training *t) {
    uint64_t epochs = t->settings->partial ? 1 : t->settings->epochs, a_few = mlp_min(epochs, BRIEF_STEPS);
    bool worth = a_few * ((t->data.x.n_rows + t->batch - 1) / t->batch) >= BRIEF_STEPS;
    return t->crew->members[0].pass->plan.brief && !t->online && !mlp_is_weighted(&t->data) &&
           !t->settings->as_sklearn && !mlp_has_dropout(t->net) && worth;
}

static bool is_paced(const training *t) {
    return t->search == NULL && (t->crew->n > 1 || t->crew->members[0].pass->team.n_threads > 1) && is_short(t);
}

static bool prepare(training *t) {
    mlp_network *net = t->net;
    size_t n = t->data.x.n_rows, batch = t->settings->batch_size;
    t->batch = batch == 0 || batch > n || net->rule->full_batch ? n : batch;
    t->online = mlp_is_online(net, &t->data, t->settings, t->batch);
    bool shuffled = t->settings->shuffle != NULL && (t->batch < n || t->settings->as_sklearn);
    if (shuffled) {
        t->order = mlp_reserve(n, sizeof *t->order);
    }
    t->crew = mlp_crew_create(net, t->batch, TRAINS, t->call, NULL);
    t->gradient = mlp_take_spare(&net->spare.gradient, net->n_parameters, net->item);
    if ((shuffled && t->order == NULL) || t->crew == NULL || t->gradient == NULL ||
        !mlp_snapshot_reserve(&t->epoch_start, net, true, &net->spare)) {
        return false;
    }
    if (is_brief(t)) {
        t->brief = mlp_brief_create(net, t->batch, t->call);
        if (t->brief == NULL) {
            return false;
        }
    }
    if (!settle_rows(t)) {
        return false;
    }
    if (net->rule->update == NULL) {
        t->search = mlp_search_create(net, full_objective, t, t->call);
        if (t->search == NULL) {
            return false;
        }
    }
    if (t->settings->validation != NULL) {
        t->validation_crew = mlp_crew_create(net, t->validation.x.n_rows, EVALUATES, t->call, NULL);
        if (t->validation_crew == NULL) {
            return false;
        }
        bool lanes = t->validation_crew->members[0].pass->plan.lanes;
        if (!settle(t, &t->validation, lanes, false, t->settled + 3)) {
            return false;
        }
    }
    t->fused = fuses(t);
    t->paced = is_paced(t);
    if (t->paced) {
        mlp_pace_begin(&net->pace, t->call->n_threads, t->batch);
    }
    const mlp_stopping *stopping = &t->settings->stopping;
    return stopping->patience == 0 || !stopping->restore_best ||
           mlp_snapshot_reserve(&t->best, net, false, &(mlp_spare){0});
}

static void clean_up(training *t) {
    mlp_search_destroy(t->search);
    mlp_brief_destroy(t->brief);
    mlp_crew_destroy(t->validation_crew);
    mlp_crew_destroy(t->crew); /* the last to go leaves its scratch for the next call */
    mlp_leave_spare(&t->net->spare.gradient, t->gradient);
    mlp_snapshot_leave(&t->epoch_start, &t->net->spare);
    mlp_snapshot_free(&t->best);
    for (size_t i = 0; i < sizeof t->settled / sizeof *t->settled; i++) {
        free(t->settled[i]);
    }
    free(t->order);
}

mlp_status mlp_fit(mlp_network *network, const mlp_data *data, const mlp_fit_settings *settings, mlp_fit_result *result,
                   mlp_call *call) {
    *result = (mlp_fit_result){.reason = MLP_EPOCHS};
    mlp_status status = mlp_check_data(network, data, call);
    if (status == MLP_OK && settings->validation != NULL) {
        status = mlp_check_data(network, settings->validation, call);
        call->validation = status != MLP_OK;
    }
    if (status != MLP_OK) {
        return status;
    }
    training t = {.net = network, .settings = settings, .result = result, .call = call, .data = *data};
    t.best_value = settings->stopping.maximize ? -HUGE_VAL : HUGE_VAL;
    if (settings->validation != NULL) {
        t.validation = *settings->validation;
    }
    status = prepare(&t) ? run_epochs(&t) : MLP_NO_MEMORY;
    clean_up(&t);
    return status;
}
