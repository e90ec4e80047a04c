/* optimizers.c: the table of update rules, their checks and their state; the arithmetic is kernels/update.h's and the
 * search of L-BFGS is lbfgs.c's. */
#include "training.h"

#include <math.h>
#include <stdlib.h>

/* ---- The update of each rule, over any range of parameters. The state is a row of vectors of N. */
static void *state_vector(const mlp_network *net, size_t i, size_t first) {
    return mlp_at(net, net->state, i * net->n_parameters + first);
}

static size_t sgd_vectors(const mlp_optimizer *o) { return o->momentum > 0 ? 1 : 0; }

static void sgd_update(const mlp_network *net, const void *g, size_t first, size_t n, const mlp_update *u) {
    void *velocity = u->momentum > 0 ? state_vector(net, 0, first) : NULL;
    net->kernels->update_sgd(mlp_at(net, net->parameters, first), mlp_at(net, g, first), velocity, n, u);
}

static void sgd_outer(const mlp_network *net, mlp_outer *o, size_t first, const mlp_update *u) {
    o->p = mlp_at(net, net->parameters, first);
    o->first = u->momentum > 0 ? state_vector(net, 0, first) : NULL;
    net->kernels->outer_sgd(o, u);
}

static size_t two_vectors(const mlp_optimizer *o) {
    (void)o;
    return 2;
}

static void adam_update(const mlp_network *net, const void *g, size_t first, size_t n, const mlp_update *u) {
    net->kernels->update_adam(mlp_at(net, net->parameters, first), mlp_at(net, g, first), state_vector(net, 0, first),
                              state_vector(net, 1, first), n, u);
}

static void adam_outer(const mlp_network *net, mlp_outer *o, size_t first, const mlp_update *u) {
    o->p = mlp_at(net, net->parameters, first);
    o->first = state_vector(net, 0, first);
    o->second = state_vector(net, 1, first);
    net->kernels->outer_adam(o, u);
}

mlp_adam mlp_adam_at(const mlp_network *net, size_t first, size_t ld, const mlp_update *update) {
    return (mlp_adam){.p = mlp_at(net, net->parameters, first),
                      .m = state_vector(net, 0, first),
                      .v = state_vector(net, 1, first),
                      .ld = ld,
                      .update = update};
}

static size_t rmsprop_vectors(const mlp_optimizer *o) { return o->momentum > 0 ? 2 : 1; }

static void rmsprop_update(const mlp_network *net, const void *g, size_t first, size_t n, const mlp_update *u) {
    void *velocity = u->momentum > 0 ? state_vector(net, 1, first) : NULL;
    net->kernels->update_rmsprop(mlp_at(net, net->parameters, first), mlp_at(net, g, first),
                                 state_vector(net, 0, first), velocity, n, u);
}

static void rprop_update(const mlp_network *net, const void *g, size_t first, size_t n, const mlp_update *u) {
    void *steps = state_vector(net, 1, first);
    if (net->progress.optimizer_step == 0) {
        net->kernels->fill(steps, u->rate, n);
    }
    net->kernels->update_rprop(mlp_at(net, net->parameters, first), mlp_at(net, g, first), state_vector(net, 0, first),
                               steps, n, u);
}

/* The gradient and the displacement of the last iteration, then the pairs. */
static size_t lbfgs_vectors(const mlp_optimizer *o) { return 2 + 2 * o->history_size; }

static const mlp_rule rules[] = {
    {.name = "sgd", .vectors = sgd_vectors, .update = sgd_update, .outer = sgd_outer, .averages = true},
    {.name = "adam",
     .vectors = two_vectors,
     .update = adam_update,
     .outer = adam_outer,
     .fuses = true,
     .averages = true,
     .squares = 2},
    {.name = "adamw",
     .vectors = two_vectors,
     .update = adam_update,
     .outer = adam_outer,
     .fuses = true,
     .averages = true,
     .squares = 2},
    {.name = "rmsprop", .vectors = rmsprop_vectors, .update = rmsprop_update, .averages = true, .squares = 1},
    {.name = "rprop", .vectors = two_vectors, .update = rprop_update, .full_batch = true},
    {.name = "lbfgs", .vectors = lbfgs_vectors, .full_batch = true},
};

/* ---- A step. */
typedef struct {
    mlp_network *net;
    void *gradient;
    const mlp_update *update;
} step;

/* What the update of a parameter takes, in operations of a product: Adam waits for the divider, the others for
 * memory. */
#define UPDATE_WORK 20.0

enum { RANGE = 1 << 15 }; /* parameters a task: what they and their state take fits the L2 cache */

void mlp_change_weights(const mlp_network *net, void *gradient, size_t first, size_t n, const mlp_update *update) {
    void *w = mlp_at(net, net->parameters, first);
    if (update->l1 > 0 || update->l2 > 0) {
        net->kernels->add_penalty(mlp_at(net, gradient, first), w, update->l1, update->l2, n);
    }
    if (update->decay != 1) { /* AdamW's: Loshchilov and Hutter (2019) */
        net->kernels->scale(w, update->decay, n);
    }
}

static void update_range(void *context, size_t t, size_t thread) {
    const step *s = context;
    (void)thread;
    size_t first = t * RANGE, left = s->net->n_parameters - first, n = mlp_min(left, RANGE);
    const mlp_update *u = s->update;
    bool changes = u->l1 > 0 || u->l2 > 0 || u->decay != 1;
    for (size_t l = 1; l <= s->net->n_layers && changes; l++) {
        const mlp_layer *layer = &s->net->layers[l];
        size_t begin = layer->weights, end = begin + layer->n_in * layer->n_out;
        begin = mlp_max(begin, first);
        end = mlp_min(end, first + n);
        if (begin < end) {
            mlp_change_weights(s->net, s->gradient, begin, end - begin, u);
        }
    }
    s->net->rule->update(s->net, s->gradient, first, n, u);
}

/* 1 - beta^t. beta^t <= exp(-t (1 - beta)) is soon less than 2^-54, which rounding takes from 1, and then so small that
 * its multiplications take four times as long. */
static double correction(double beta, uint64_t t) {
    return (double)t * (1.0 - beta) > 38.0 ? 1.0 : 1.0 - mlp_whole_power(beta, t);
}

mlp_update mlp_make_update(const mlp_network *net, double rate) {
    const mlp_optimizer *o = &net->optimizer;
    uint64_t t = net->progress.optimizer_step + 1;
    mlp_update u = {.rate = rate,
                    .gradient_rate = 1.0,
                    .momentum = o->momentum,
                    .nesterov = o->nesterov,
                    .beta_1 = o->beta_1,
                    .beta_2 = o->beta_2,
                    .epsilon = o->epsilon,
                    .rho = o->rho,
                    .eta_minus = o->eta_minus,
                    .eta_plus = o->eta_plus,
                    .step_min = o->step_min,
                    .step_max = o->step_max,
                    .decay = 1.0 - rate * o->weight_decay,
                    .correction_1 = correction(o->beta_1, t),
                    .correction_2 = sqrt(correction(o->beta_2, t))};
    if (o->classic && o->momentum > 0 && net->rule->update == sgd_update) {
        u.gradient_rate = rate;
        u.rate = 1.0;
    } else if (o->classic && net->rule->update == adam_update) {
        u.epsilon /= u.correction_2;
    }
    return u;
}

static void share_ranges(size_t n, double work, mlp_task task, void *context, mlp_call *call) {
    if (n <= RANGE) {
        task(context, 0, 0);
    } else {
        mlp_share(call, mlp_threads_for(call, work), work, (n + RANGE - 1) / RANGE, task, context);
    }
}

/* Averages of gradients that have become zero, those of a dead unit, fade to the smallest numbers and stay there, and
 * the divider takes four times as long for these. So every so many steps what is subnormal becomes zero. */
enum { FADING_STEPS = 64 };

static bool clears(const mlp_network *net) {
    bool divides = net->rule->update != sgd_update; /* by 0 where there is no epsilon */
    return net->n_state > 0 && net->rule->averages && (!divides || net->optimizer.epsilon > 0) &&
           (net->progress.optimizer_step + 1) % FADING_STEPS == 0;
}

static void clear_range(void *context, size_t t, size_t thread) {
    const mlp_network *net = context;
    (void)thread;
    size_t first = t * RANGE, left = net->n_state - first;
    net->kernels->clear_subnormals(mlp_at(net, net->state, first), mlp_min(left, RANGE));
}

void mlp_step(mlp_network *net, void *gradient, const mlp_update *update, bool fused, mlp_call *call) {
    for (size_t l = 1; l <= net->n_layers && net->bias && fused; l++) {
        const mlp_layer *layer = &net->layers[l];
        net->rule->update(net, gradient, layer->biases, layer->n_out, update);
    }
    if (!fused) {
        step s = {.net = net, .gradient = gradient, .update = update};
        share_ranges(net->n_parameters, UPDATE_WORK * (double)net->n_parameters, update_range, &s, call);
    }
    if (clears(net)) {
        share_ranges(net->n_state, (double)net->n_state, clear_range, net, call);
    }
}

/* ---- Settings. */
static bool in_unit(double x) { return x >= 0 && x < 1; }

static bool positive(double x) { return x > 0 && isfinite(x); }

static bool not_negative(double x) { return x >= 0 && isfinite(x); }

static const char *check(const mlp_optimizer *o, const mlp_rule *rule) {
    if (rule->update == NULL) {
        return o->history_size == 0 || o->history_size > 1000000 ? "history_size: from 1 to 1000000"
               : !not_negative(o->tolerance)                     ? "tolerance: finite and not negative"
                                                                 : NULL;
    }
    bool adam = rule->update == adam_update;
    if (!positive(o->learning_rate)) {
        return "learning_rate: finite and positive";
    }
    if (!not_negative(o->clip_norm) || !not_negative(o->momentum) || o->momentum > 1) {
        return "clip_norm: finite and not negative; momentum: in [0, 1]";
    }
    if (o->nesterov && o->momentum <= 0) {
        return "nesterov: needs momentum";
    }
    if (adam &&
        (!in_unit(o->beta_1) || !in_unit(o->beta_2) || !not_negative(o->epsilon) || !not_negative(o->weight_decay))) {
        return "beta_1, beta_2: in [0, 1); epsilon, weight_decay: finite and not negative";
    }
    if (rule->update == rmsprop_update && (!in_unit(o->rho) || !not_negative(o->epsilon))) {
        return "rho: in [0, 1); epsilon: finite and not negative";
    }
    if (rule->update == rprop_update &&
        !(o->eta_minus > 0 && o->eta_minus < 1 && o->eta_plus > 1 && isfinite(o->eta_plus) &&
          not_negative(o->step_min) && positive(o->step_max) && o->step_min <= o->step_max)) {
        return "0 < eta_minus < 1 < eta_plus, 0 <= step_min <= step_max and 0 < step_max";
    }
    return NULL;
}

/* The state of L-BFGS for histories of another size: the newest pairs stay, in their order. */
static void move_pairs(mlp_network *net, char *to, size_t size) {
    mlp_progress *p = &net->progress;
    size_t bytes = net->n_parameters * net->item, before = net->optimizer.history_size;
    size_t pairs = mlp_min((size_t)p->pairs, size);
    const char *from = net->state;
    memcpy(to, from, 2 * bytes);
    for (size_t i = 0; i < pairs; i++) {
        size_t place = ((size_t)p->newest_pair + before - (pairs - 1 - i)) % before;
        memcpy(to + (2 + 2 * i) * bytes, from + (2 + 2 * place) * bytes, 2 * bytes);
    }
    p->pairs = pairs;
    p->newest_pair = pairs > 0 ? pairs - 1 : 0;
}

/* A new state of so many vectors. With `keep` it begins with the old one's numbers (lbfgs: its newest pairs). */
static const char *renew_state(mlp_network *net, const mlp_rule *rule, const mlp_optimizer *optimizer, size_t vectors,
                               bool keep) {
    size_t n = vectors * net->n_parameters;
    if (vectors > SIZE_MAX / net->n_parameters) {
        return "the optimizer's state overflows";
    }
    void *state = NULL;
    if (n > 0) {
        state = mlp_allocate(n, net->item);
        if (state == NULL) {
            return MLP_NO_MEMORY_FOR_STATE;
        }
        if (keep && rule->update == NULL) {
            move_pairs(net, state, optimizer->history_size);
        } else if (keep && net->n_state > 0) {
            memcpy(state, net->state, mlp_min(n, net->n_state) * net->item);
        }
    }
    free(net->state);
    free(net->spare.state); /* it was of the old size */
    net->spare.state = NULL;
    net->state = state;
    net->n_state = n;
    return NULL;
}

const char *mlp_resize_state(mlp_network *network, size_t n) {
    mlp_optimizer moving = network->optimizer;
    moving.momentum = 1;
    const mlp_rule *rule = network->rule;
    size_t vectors = n / network->n_parameters;
    bool fits = n % network->n_parameters == 0 && vectors >= rule->vectors(&network->optimizer) &&
                vectors <= rule->vectors(&moving);
    return !fits                   ? "a state of another size"
           : n == network->n_state ? NULL
                                   : renew_state(network, rule, &network->optimizer, vectors, true);
}

const char *mlp_set_optimizer(mlp_network *network, const mlp_optimizer *optimizer) {
    size_t i = 0, n = sizeof rules / sizeof *rules;
    while (i < n && strcmp(rules[i].name, optimizer->rule) != 0) {
        i++;
    }
    if (i == n) {
        return "rule: sgd, adam, adamw, rmsprop, rprop or lbfgs";
    }
    const mlp_rule *rule = &rules[i];
    const char *reason = check(optimizer, rule);
    if (reason != NULL) {
        return reason;
    }
    const mlp_optimizer *before = &network->optimizer;
    bool same_velocity = rule->update != sgd_update || before->classic == optimizer->classic;
    bool keep = rule == network->rule && same_velocity;
    size_t vectors = rule->vectors(optimizer), there = network->n_state / network->n_parameters;
    bool rests = keep && rule->update != NULL && vectors < there; /* a velocity, until there is momentum again */
    if (!keep || (vectors != there && !rests)) {
        reason = renew_state(network, rule, optimizer, vectors, keep);
        if (reason != NULL) {
            return reason;
        }
    }
    if (!keep) {
        mlp_progress *p = &network->progress;
        p->optimizer_step = p->pairs = p->newest_pair = 0;
        mlp_plateau_start(p);
    }
    network->optimizer = *optimizer;
    network->optimizer.rule = rule->name;
    if (strcmp(rule->name, "adamw") != 0) {
        network->optimizer.weight_decay = 0;
    }
    network->rule = rule;
    return NULL;
}
