/* lbfgs.c: L-BFGS (Nocedal, 1980) with a strong Wolfe search, one iteration at a time, by the rules of PyTorch's LBFGS
 * with lr=1 and max_iter=1; Nocedal and Wright, "Numerical Optimization" (2006), algorithms 3.5, 3.6 and 7.4. */
#include "training.h"

#include <math.h>
#include <stdlib.h>

static const double sufficient_decrease = 1e-4, curvature = 0.9, smallest_change = 1e-9, smallest_curvature = 1e-10;
enum { MOST_TRIALS = 25 };

enum { VECTORS = 6 }; /* of N, a search's own */

/* A point on the line x + t d. */
typedef struct {
    double t, value, slope;
    void *gradient;
} point;

struct mlp_search {
    mlp_network *net;
    mlp_objective objective;
    void *context;
    mlp_call *call;
    bool here;    /* value and gradient are those of the network's parameters, of which origin is a copy */
    bool touched; /* the memory has pages */
    double value;
    void *memory, *gradient, *origin, *direction, *spare[3];
};

/* ---- The network's part of the state: real vectors of N, kept between iterations and calls. */
static void *vector(const mlp_search *s, size_t i) { return mlp_at(s->net, s->net->state, i * s->net->n_parameters); }

static void *last_gradient(const mlp_search *s) { return vector(s, 0); }

static void *last_move(const mlp_search *s) { return vector(s, 1); }

/* Pair `age` iterations old: the move s and the change y of the gradient. */
static void *pair(const mlp_search *s, size_t age, bool change) {
    size_t m = s->net->optimizer.history_size, place = ((size_t)s->net->progress.newest_pair + m - age) % m;
    return vector(s, 2 + 2 * place + (change ? 1 : 0));
}

mlp_search *mlp_search_create(mlp_network *net, mlp_objective objective, void *context, mlp_call *call) {
    mlp_search *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    *s = (mlp_search){.net = net, .objective = objective, .context = context, .call = call};
    size_t n = net->n_parameters;
    s->memory = mlp_reserve(VECTORS * n, net->item);
    if (s->memory == NULL) {
        free(s);
        return NULL;
    }
    void **vectors[VECTORS] = {&s->gradient, &s->origin, &s->direction, &s->spare[0], &s->spare[1], &s->spare[2]};
    for (size_t i = 0; i < VECTORS; i++) {
        *vectors[i] = mlp_at(net, s->memory, i * n);
    }
    return s;
}

void mlp_search_destroy(mlp_search *search) {
    if (search != NULL) {
        free(search->memory);
        free(search);
    }
}

void mlp_search_check_point(mlp_search *search) {
    const mlp_network *net = search->net;
    search->here = search->here && memcmp(net->parameters, search->origin, net->n_parameters * net->item) == 0;
}

/* After so many passes over vectors of N; true: the call is to end. */
static bool pause_after(const mlp_search *s, double passes) {
    return mlp_pause(s->call, 2.0 * passes * (double)s->net->n_parameters);
}

/* Pages that the system gives when they are first written to may take longer than the caller should wait. */
static bool touch(mlp_search *s) {
    size_t bytes = VECTORS * s->net->n_parameters * s->net->item;
    for (size_t at = 0, slice; at < bytes && !s->touched; at += slice) {
        slice = mlp_min(bytes - at, MLP_SLICE_BYTES);
        memset((char *)s->memory + at, 0, slice);
        if (mlp_pause(s->call, (double)slice)) {
            return false;
        }
    }
    s->touched = true;
    return true;
}

static double dot(const mlp_search *s, const void *x, const void *y) {
    return s->net->kernels->dot(x, y, s->net->n_parameters);
}

/* ---- The direction: -H g by the two-loop recursion. */
static mlp_status remember_pair(mlp_search *s) {
    mlp_network *net = s->net;
    size_t m = net->optimizer.history_size;
    net->kernels->axpy(s->direction, s->gradient, -1.0, last_gradient(s), net->n_parameters); /* y, for a moment */
    double bends = dot(s, s->direction, last_move(s));
    if (pause_after(s, 2)) {
        return MLP_INTERRUPTED;
    }
    if (!(bends > smallest_curvature)) {
        return MLP_OK;
    }
    net->progress.newest_pair = (net->progress.newest_pair + 1) % m;
    net->progress.pairs += net->progress.pairs < m ? 1 : 0;
    memcpy(pair(s, 0, false), last_move(s), net->n_parameters * net->item);
    memcpy(pair(s, 0, true), s->direction, net->n_parameters * net->item);
    net->kernels->fill(last_move(s), 0.0, net->n_parameters); /* once: an interrupted iteration comes here again */
    return pause_after(s, 3) ? MLP_INTERRUPTED : MLP_OK;
}

static mlp_status find_direction(mlp_search *s) {
    mlp_network *net = s->net;
    const mlp_kernels *k = net->kernels;
    size_t n = net->n_parameters, pairs = (size_t)net->progress.pairs;
    double *alpha = calloc(pairs + 1, sizeof *alpha);
    if (alpha == NULL) {
        return MLP_NO_MEMORY;
    }
    void *d = s->direction;
    k->fill(d, 0.0, n);
    k->axpy(d, d, -1.0, s->gradient, n);
    bool stop = pause_after(s, 2);
    for (size_t age = 0; age < pairs && !stop; age++) {
        double rho = 1.0 / dot(s, pair(s, age, true), pair(s, age, false));
        alpha[age] = rho * dot(s, pair(s, age, false), d);
        k->axpy(d, d, -alpha[age], pair(s, age, true), n);
        stop = pause_after(s, 3);
    }
    if (pairs > 0 && !stop) {
        const void *y = pair(s, 0, true);
        k->scale(d, dot(s, y, pair(s, 0, false)) / dot(s, y, y), n);
        stop = pause_after(s, 3);
    }
    for (size_t age = pairs; age-- > 0 && !stop;) {
        double rho = 1.0 / dot(s, pair(s, age, true), pair(s, age, false));
        double beta = rho * dot(s, pair(s, age, true), d);
        k->axpy(d, d, alpha[age] - beta, pair(s, age, false), n);
        stop = pause_after(s, 3);
    }
    free(alpha);
    return stop ? MLP_INTERRUPTED : MLP_OK;
}

/* ---- The search. */

/* The minimum of the cubic through two points and their slopes, within [lowest, highest]. */
static double interpolate(const point *a, const point *b, double lowest, double highest) {
    double d1 = a->slope + b->slope - 3.0 * (a->value - b->value) / (a->t - b->t);
    double square = d1 * d1 - a->slope * b->slope;
    if (!(square >= 0)) {
        return (lowest + highest) / 2.0;
    }
    double d2 = sqrt(square);
    const point *left = a->t <= b->t ? a : b, *right = a->t <= b->t ? b : a;
    double t = right->t - (right->t - left->t) * ((right->slope + d2 - d1) / (right->slope - left->slope + 2.0 * d2));
    return fmin(fmax(t, lowest), highest);
}

static void move_to(mlp_search *s, double t) {
    s->net->kernels->axpy(s->net->parameters, s->origin, t, s->direction, s->net->n_parameters);
}

static mlp_status look_at(mlp_search *s, point *p) {
    move_to(s, p->t);
    mlp_status status = s->objective(s->context, &p->value, p->gradient);
    p->value = isfinite(p->value) ? p->value : HUGE_VAL; /* too far: look nearer */
    p->slope = dot(s, p->gradient, s->direction);
    return status;
}

static void swap(point *a, point *b) {
    point kept = *a;
    *a = *b;
    *b = kept;
}

/* Where to look between the ends of a bracket: not too close to either twice in a row. */
static double next_trial(const point *low, const point *high, bool *too_close) {
    double left = fmin(low->t, high->t), right = fmax(low->t, high->t), margin = 0.1 * (right - left);
    double t = interpolate(low, high, left, right);
    if (fmin(right - t, t - left) >= margin) {
        *too_close = false;
        return t;
    }
    if (*too_close || t >= right || t <= left) {
        *too_close = false;
        return fabs(t - right) < fabs(t - left) ? right - margin : left + margin;
    }
    *too_close = true;
    return t;
}

/* From a first step t, a point that satisfies the strong Wolfe conditions, or the lowest one seen: into *found.
 * points[0] is the start; the others are room. */
static mlp_status search_line(mlp_search *s, double t, point points[4], point *found) {
    const double value = points[0].value, slope = points[0].slope;
    point *previous = &points[1], *now = &points[2], *trial = &points[3];
    size_t n = s->net->n_parameters, item = s->net->item;
    double longest = s->net->kernels->max_abs(s->direction, n);
    *previous = (point){0, value, slope, previous->gradient};
    memcpy(previous->gradient, points[0].gradient, n * item);
    now->t = t;
    mlp_status status = pause_after(s, 2) ? MLP_INTERRUPTED : look_at(s, now);
    int trials = 0;
    bool bracketed = false;
    for (; status == MLP_OK && trials < MOST_TRIALS; trials++) { /* reach out until a minimum lies between */
        bool too_high = now->value > value + sufficient_decrease * now->t * slope;
        if (too_high || (trials > 1 && now->value >= previous->value)) {
            bracketed = true;
            break;
        }
        if (fabs(now->slope) <= -curvature * slope) {
            *found = *now;
            return MLP_OK;
        }
        if (now->slope >= 0) {
            bracketed = true;
            break;
        }
        double shortest = now->t + 0.01 * (now->t - previous->t), furthest = now->t * 10.0;
        double next = interpolate(previous, now, shortest, furthest);
        swap(previous, now);
        now->t = next;
        status = look_at(s, now);
    }
    if (!bracketed) { /* out of trials: between the start and here */
        void *room = previous->gradient;
        *previous = (point){0, value, slope, room};
        memcpy(room, points[0].gradient, n * item);
    }
    point *low = previous, *high = now;
    if (low->value > high->value) {
        swap(low, high);
    }
    bool too_close = false;
    while (status == MLP_OK && trials < MOST_TRIALS && fabs(high->t - low->t) * longest >= smallest_change) {
        trial->t = next_trial(low, high, &too_close);
        status = look_at(s, trial);
        trials++;
        if (trial->value > value + sufficient_decrease * trial->t * slope || trial->value >= low->value) {
            swap(high, trial);
            if (low->value > high->value) {
                swap(low, high);
            }
            continue;
        }
        bool done = fabs(trial->slope) <= -curvature * slope;
        if (!done && trial->slope * (high->t - low->t) >= 0) {
            swap(high, low);
        }
        swap(low, trial);
        if (done) {
            break;
        }
    }
    *found = *low;
    return status;
}

/* ---- Iterations. */
mlp_status mlp_search_start(mlp_search *search, double *value, bool *converged) {
    mlp_status status = MLP_OK;
    if (!touch(search)) {
        return MLP_INTERRUPTED;
    }
    if (!search->here) {
        const mlp_network *net = search->net;
        status = search->objective(search->context, &search->value, search->gradient);
        memcpy(search->origin, net->parameters, net->n_parameters * net->item);
        search->here = status == MLP_OK;
    }
    *value = search->value;
    if (status != MLP_OK) {
        return status;
    }
    if (!search->net->kernels->all_finite(search->gradient, search->net->n_parameters)) {
        *value = (double)NAN; /* training has diverged, and must not look converged */
    }
    double largest = search->net->kernels->max_abs(search->gradient, search->net->n_parameters);
    *converged = isfinite(*value) && largest <= search->net->optimizer.tolerance;
    return status;
}

/* Whether the direction goes down, after forgetting the pairs if they made it go up. */
static mlp_status choose_direction(mlp_search *s, double *slope) {
    mlp_status status = find_direction(s);
    *slope = dot(s, s->gradient, s->direction);
    if (status == MLP_OK && !(*slope < 0) && s->net->progress.pairs > 0) {
        s->net->progress.pairs = 0;
        status = find_direction(s);
        *slope = dot(s, s->gradient, s->direction);
    }
    return status;
}

mlp_status mlp_search_iterate(mlp_search *search, bool *converged, bool *untouched) {
    mlp_network *net = search->net;
    size_t n = net->n_parameters;
    const mlp_kernels *k = net->kernels;
    double slope = 0;
    mlp_status status = net->progress.optimizer_step > 0 ? remember_pair(search) : MLP_OK;
    if (status == MLP_OK) {
        status = choose_direction(search, &slope);
    }
    if (status != MLP_OK) {
        return status;
    }
    bool steepest = net->progress.pairs == 0;
    double t = steepest ? fmin(1.0, 1.0 / k->sum_abs(search->gradient, n)) : 1.0;
    point points[4] = {{0, search->value, slope, search->gradient}};
    for (size_t i = 0; i < 3; i++) {
        points[i + 1].gradient = search->spare[i];
    }
    point found = points[0];
    status = search_line(search, t, points, &found);
    bool stuck = found.t <= 0; /* rounding hides what is left to gain along these pairs, or along the gradient itself */
    *untouched = status == MLP_OK && stuck && steepest;
    if (status != MLP_OK || *untouched) { /* back to the last accepted point */
        memcpy(net->parameters, search->origin, n * net->item);
        return status;
    }
    move_to(search, found.t);
    memcpy(last_gradient(search), search->gradient, n * net->item);
    k->fill(last_move(search), 0.0, n);
    k->axpy(last_move(search), last_move(search), found.t, search->direction, n);
    memcpy(search->gradient, found.gradient, n * net->item);
    memcpy(search->origin, net->parameters, n * net->item);
    search->value = found.value;
    search->here = true;
    net->progress.optimizer_step++;
    *converged = k->all_finite(search->gradient, n) && k->max_abs(search->gradient, n) <= net->optimizer.tolerance;
    if (stuck) {
        net->progress.pairs = 0;
    }
    return MLP_OK;
}
