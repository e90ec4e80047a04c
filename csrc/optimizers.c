/* optimizers.c: the table of update rules, their checks and their state; the arithmetic is kernels/update.h's and the
 * search of L-BFGS is lbfgs.c's. */
#include "core.h"

#include <math.h>
#include <stdlib.h>

/* ---- One step of each rule. The state is a row of vectors of N. */
static void *state_vector(mlp_network *net, size_t i) { return mlp_at(net, net->state, i * net->n_parameters); }

static mlp_update settings_of(const mlp_network *net, double rate) {
    const mlp_optimizer *o = &net->optimizer;
    double t = (double)net->progress.optimizer_step + 1;
    return (mlp_update){.rate = rate,
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
                        .correction_1 = 1.0 - pow(o->beta_1, t),
                        .correction_2 = sqrt(1.0 - pow(o->beta_2, t))};
}

static size_t sgd_vectors(const mlp_optimizer *o) { return o->momentum > 0 ? 1 : 0; }

static void sgd_step(mlp_network *net, void *gradient, double rate) {
    mlp_update u = settings_of(net, rate);
    net->kernels->update_sgd(net->parameters, gradient, net->state, net->n_parameters, &u);
}

static size_t two_vectors(const mlp_optimizer *o) {
    (void)o;
    return 2;
}

static void adam_step(mlp_network *net, void *gradient, double rate) {
    mlp_update u = settings_of(net, rate);
    net->kernels->update_adam(net->parameters, gradient, state_vector(net, 0), state_vector(net, 1), net->n_parameters,
                              &u);
}

/* AdamW (Loshchilov and Hutter, 2019): the weights decay by themselves, before Adam's step. */
static void adamw_step(mlp_network *net, void *gradient, double rate) {
    for (size_t l = 1; l <= net->n_layers; l++) {
        const mlp_layer *layer = &net->layers[l];
        net->kernels->scale(mlp_at(net, net->parameters, layer->weights), 1.0 - rate * net->optimizer.weight_decay,
                            layer->n_in * layer->n_out);
    }
    adam_step(net, gradient, rate);
}

static size_t rmsprop_vectors(const mlp_optimizer *o) { return o->momentum > 0 ? 2 : 1; }

static void rmsprop_step(mlp_network *net, void *gradient, double rate) {
    mlp_update u = settings_of(net, rate);
    void *velocity = net->optimizer.momentum > 0 ? state_vector(net, 1) : NULL;
    net->kernels->update_rmsprop(net->parameters, gradient, state_vector(net, 0), velocity, net->n_parameters, &u);
}

static void rprop_step(mlp_network *net, void *gradient, double rate) {
    if (net->progress.optimizer_step == 0) {
        net->kernels->fill(state_vector(net, 1), rate, net->n_parameters);
    }
    mlp_update u = settings_of(net, rate);
    net->kernels->update_rprop(net->parameters, gradient, state_vector(net, 0), state_vector(net, 1), net->n_parameters,
                               &u);
}

/* The gradient and the displacement of the last iteration, then the pairs. */
static size_t lbfgs_vectors(const mlp_optimizer *o) { return 2 + 2 * o->history_size; }

static const mlp_rule rules[] = {
    {"sgd", sgd_vectors, sgd_step, false},     {"adam", two_vectors, adam_step, false},
    {"adamw", two_vectors, adamw_step, false}, {"rmsprop", rmsprop_vectors, rmsprop_step, false},
    {"rprop", two_vectors, rprop_step, true},  {"lbfgs", lbfgs_vectors, NULL, true},
};

/* ---- Settings. */
static bool in_unit(double x) { return x >= 0 && x < 1; }

static bool positive(double x) { return x > 0 && isfinite(x); }

static bool not_negative(double x) { return x >= 0 && isfinite(x); }

static const char *check(const mlp_optimizer *o, const mlp_rule *rule) {
    if (rule->step == NULL) {
        return o->history_size == 0          ? "history_size: at least 1"
               : !not_negative(o->tolerance) ? "tolerance: finite and not negative"
                                             : NULL;
    }
    bool adam = rule->step == adam_step || rule->step == adamw_step;
    if (!positive(o->learning_rate)) {
        return "learning_rate: finite and positive";
    }
    if (!not_negative(o->clip_norm) || !not_negative(o->momentum) || o->momentum >= 1) {
        return "clip_norm: finite and not negative; momentum: in [0, 1)";
    }
    if (o->nesterov && o->momentum <= 0) {
        return "nesterov: needs momentum";
    }
    if (adam &&
        (!in_unit(o->beta_1) || !in_unit(o->beta_2) || !not_negative(o->epsilon) || !not_negative(o->weight_decay))) {
        return "beta_1, beta_2: in [0, 1); epsilon, weight_decay: finite and not negative";
    }
    if (rule->step == rmsprop_step && (!in_unit(o->rho) || !not_negative(o->epsilon))) {
        return "rho: in [0, 1); epsilon: finite and not negative";
    }
    if (rule->step == rprop_step &&
        !(o->eta_minus > 0 && o->eta_minus < 1 && o->eta_plus > 1 && isfinite(o->eta_plus) && positive(o->step_min) &&
          o->step_max >= o->step_min && isfinite(o->step_max))) {
        return "0 < eta_minus < 1 < eta_plus and 0 < step_min <= step_max";
    }
    return NULL;
}

/* A block for the new rule's state, with the old one's vectors where they are the same. */
static const char *renew_state(mlp_network *net, const mlp_rule *rule, const mlp_optimizer *optimizer, bool keep) {
    size_t vectors = rule->vectors(optimizer), n = vectors * net->n_parameters;
    if (vectors > SIZE_MAX / net->n_parameters) {
        return "the optimizer's state overflows";
    }
    void *state = NULL;
    if (n > 0) {
        state = mlp_allocate(n, net->item);
        if (state == NULL) {
            return "not enough memory for the optimizer's state";
        }
        if (keep && net->n_state > 0) {
            memcpy(state, net->state, (n < net->n_state ? n : net->n_state) * net->item);
        }
    }
    free(net->state);
    net->state = state;
    net->n_state = n;
    return NULL;
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
    bool same_pairs = rule->step != NULL || network->optimizer.history_size == optimizer->history_size;
    bool keep = rule == network->rule && same_pairs;
    if (!keep || rule->vectors(optimizer) * network->n_parameters != network->n_state) {
        reason = renew_state(network, rule, optimizer, keep);
        if (reason != NULL) {
            return reason;
        }
    }
    if (!keep) {
        mlp_progress *p = &network->progress;
        p->optimizer_step = p->pairs = p->newest_pair = 0;
    }
    network->optimizer = *optimizer;
    network->optimizer.rule = rule->name;
    network->rule = rule;
    return NULL;
}
