/* schedules.c: what multiplies the learning rate, and when. */
#include "training.h"

#include <math.h>

/* From `from` to `to` along half a cosine as t goes from 0 to 1 (Loshchilov and Hutter, 2017). */
static double anneal(double from, double to, double t) {
    return to + (from - to) * mlp_half_cosine(fmin(fmax(t, 0.0), 1.0));
}

/* A product of so many factors other than 1 is 0 or infinite, as that of more. */
static uint64_t count(double x) { return (uint64_t)fmin(x, 0x1p63); }

double mlp_multiplier(const mlp_schedule *s, double epochs, double step) {
    switch (s->kind) {
    case MLP_STEP_DECAY: return mlp_whole_power(s->factor, count(floor(epochs) / s->epochs));
    case MLP_EXPONENTIAL_DECAY: return mlp_whole_power(s->factor, count(epochs));
    case MLP_INVERSE_SCALING: return mlp_power(floor(epochs) + 1.0, -s->power);
    case MLP_COSINE_DECAY:
        if (epochs < s->warmup) {
            return fmin((epochs + step) / s->warmup, 1.0);
        }
        return s->epochs > s->warmup ? anneal(1.0, s->minimum, (epochs - s->warmup) / (s->epochs - s->warmup)) : 1.0;
    case MLP_ONE_CYCLE: {
        double top = s->start_fraction * s->epochs;
        return epochs < top ? anneal(1.0, s->peak, epochs / top)
                            : anneal(s->peak, 0.0, (epochs - top) / (s->epochs - top));
    }
    case MLP_CONSTANT:
    case MLP_REDUCE_ON_PLATEAU:
    case MLP_SCHEDULE_HOOK: break;
    }
    return 1.0;
}

void mlp_plateau_start(mlp_progress *progress) {
    progress->plateau_best = HUGE_VAL;
    progress->plateau_multiplier = 1.0;
    progress->plateau_value = -HUGE_VAL;
    progress->plateau_wait = 0;
}

void mlp_plateau_step(mlp_progress *progress, const mlp_schedule *schedule, double value) {
    if (value < progress->plateau_best - schedule->min_delta) {
        progress->plateau_best = value;
        progress->plateau_wait = 0;
        return;
    }
    progress->plateau_wait++;
    if ((double)progress->plateau_wait > schedule->patience) {
        progress->plateau_multiplier = fmax(progress->plateau_multiplier * schedule->factor, schedule->minimum);
        progress->plateau_wait = 0;
    }
}
