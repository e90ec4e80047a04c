/* online.h: gradient descent one sample at a time through layers of a few units, many steps in one call.
 *
 * Everything is a chain of latencies here, so the units of a layer lie in the lanes of one row of ROW elements, which
 * stays in a register from product to activation to product where it is one vector; the weights stay in rows of their
 * own, once as they are and once transposed. Each element is computed by the same operations as in a batch of one
 * sample elsewhere: the bits are the same. */

enum { ROW = MLP_ONLINE_ROW };

typedef struct {
    vec part[ROW / LANES];
} online_row;

/* How much of a row is used: one vector, or the lower half of one. */
typedef enum { WHOLE_ROW, ONE_VECTOR, HALF_VECTOR } row_width;
#ifndef LOWER_LANES
#define LOWER_LANES 0
#define v_spread_lower v_spread
#endif

/* The parts of a row that hold n elements. */
#define EACH_PART(v, n) (size_t v = 0; v == 0 || (width == WHOLE_ROW && v * LANES < (n)); v++)

ALWAYS_INLINE void store_row(real *to, const online_row *row, size_t n, const row_width width) {
    for EACH_PART(v, n) {
        v_store(to + v * LANES, row->part[v]);
    }
}

/* Element i of a row that is stored too, in all lanes. */
ALWAYS_INLINE vec spread(const online_row *row, const real *stored, size_t i, const row_width width) {
    return width == WHOLE_ROW    ? v_set1(stored[i])
           : width == ONE_VECTOR ? v_spread(row->part[0], i)
                                 : v_spread_lower(row->part[0], i);
}

/* z (n_out) = a W + b; the first layer's inputs are no row. */
ALWAYS_INLINE void online_forward(online_row *z, const online_row *a, const real *stored, const mlp_online_layer *layer,
                                  const row_width width) {
    const real *w = layer->w, *b = layer->b;
    for EACH_PART(v, layer->n_out) {
        vec sum = v_zero();
        for (size_t i = 0; i < layer->n_in; i++) {
            vec input = a == NULL ? v_set1(stored[i]) : spread(a, stored, i, width);
            sum = v_fma(input, v_load(w + i * ROW + v * LANES), sum);
        }
        z->part[v] = b == NULL ? sum : v_add(sum, v_load(b + v * LANES));
    }
}

/* da (n_in) = dz W^T */
ALWAYS_INLINE void online_backward(online_row *da, const online_row *dz, const real *stored,
                                   const mlp_online_layer *layer, const row_width width) {
    const real *transposed = layer->transposed;
    for EACH_PART(v, layer->n_in) {
        vec sum = v_zero();
        for (size_t j = 0; j < layer->n_out; j++) {
            sum = v_fma(spread(dz, stored, j, width), v_load(transposed + j * ROW + v * LANES), sum);
        }
        da->part[v] = sum;
    }
}

/* p -= rate factor x, and what that comes to. A gradient is a sum that begins at 0. */
ALWAYS_INLINE vec descend(real *p, vec factor, vec x, vec rate) {
    vec after = v_nfma(rate, v_fma(factor, x, v_zero()), v_load(p));
    v_store(p, after);
    return after;
}

/* W -= rate a^T dz, b -= rate dz */
ALWAYS_INLINE void online_update(const mlp_online_layer *layer, const real *a, const online_row *dz, const real *stored,
                                 vec rate, const row_width width) {
    real *w = layer->w, *transposed = layer->transposed, *b = layer->b;
    for EACH_PART(v, layer->n_out) {
        for (size_t i = 0; i < layer->n_in; i++) {
            descend(w + i * ROW + v * LANES, v_set1(a[i]), dz->part[v], rate);
        }
        if (b != NULL) {
            descend(b + v * LANES, v_set1(1), dz->part[v], rate);
        }
    }
    for (size_t j = 0; transposed != NULL && j < layer->n_out; j++) {
        vec delta = spread(dz, stored, j, width);
        for EACH_PART(v, layer->n_in) {
            descend(transposed + j * ROW + v * LANES, delta, v_load(a + v * LANES), rate);
        }
    }
}

/* The same of the first layer, whose inputs are no row, and its z of the next sample, from weights that have not been
 * through memory. */
ALWAYS_INLINE void online_turn(online_row *z, const mlp_online_layer *layer, const real *x, const real *next,
                               const online_row *dz, vec rate, const row_width width) {
    real *w = layer->w, *b = layer->b;
    for EACH_PART(v, layer->n_out) {
        vec delta = dz->part[v], sum = v_zero();
        for (size_t i = 0; i < layer->n_in; i++) {
            sum = v_fma(v_set1(next[i]), descend(w + i * ROW + v * LANES, v_set1(x[i]), delta, rate), sum);
        }
        z->part[v] = b == NULL ? sum : v_add(sum, descend(b + v * LANES, v_set1(1), delta, rate));
    }
}

/* ---- Activations by their number: g(z), and g' stored, which is not waited for. */
#define FROM_OUTPUT(z, a) (a)
#define FROM_INPUT(z, a) (z)
#define ENTRY(name, from)                      \
    static vec online_##name(vec z, real *d) { \
        vec a = g_##name(z);                   \
        v_store(d, d_##name(from(z, a)));      \
        return a;                              \
    }
MLP_ACTIVATIONS(ENTRY)
#undef ENTRY
#undef FROM_OUTPUT
#undef FROM_INPUT
static vec (*const online_activations[])(vec z, real *d) = {
#define ENTRY(name, from) [MLP_ACT_##name] = online_##name,
    MLP_ACTIVATIONS(ENTRY)
#undef ENTRY
};

/* ---- Losses by their number: of one output by itself, from a (or z), and its dz. All in one function: what lives
 * across a call goes through memory, and this is waited for. d: g' where it does not follow from a. */
static NOT_INLINE vec online_loss(const mlp_online *net, vec a, vec y, const real *d, vec *loss) {
    vec p = v_set1((real)net->loss_parameters[0]), difference = v_sub(a, y), slope;
    switch (net->loss) {
#define OF_DIFFERENCE(name)                  \
    case MLP_LOSS_##name:                    \
        *loss = loss_##name(difference, p);  \
        slope = slope_##name(difference, p); \
        break;
#define OF_LOGIT(name) \
    case MLP_LOSS_##name: *loss = loss_##name(a, y, &slope); return slope;
#define OF_LOGITS(name)
#define ENTRY(name, activation, kind, parameter, lowest, highest) kind(name)
        MLP_LOSSES(ENTRY)
#undef ENTRY
#undef OF_DIFFERENCE
#undef OF_LOGIT
#undef OF_LOGITS
    default: *loss = slope = v_zero(); /* none of these */
    }
    switch (net->output) {
#define FROM_OUTPUT(name) \
    case MLP_ACT_##name: return v_mul(slope, d_##name(a));
#define FROM_INPUT(name)
#define ENTRY(name, from) from(name)
        MLP_ACTIVATIONS(ENTRY)
#undef ENTRY
#undef FROM_OUTPUT
#undef FROM_INPUT
    default: return v_mul(slope, v_load(d));
    }
}

/* Of several outputs, in lanes layout. */
static void (*const losses_of_several[])(double *losses, void *dz, const void *a_or_z, const mlp_targets *targets) = {
#define ENTRY(name, activation, kind, parameter, lowest, highest) [MLP_LOSS_##name] = block_##name,
    MLP_LOSSES(ENTRY)
#undef ENTRY
};

/* The loss of a sample of one output and its dz, by its z. */
ALWAYS_INLINE double loss_of_one(const mlp_online *net, vec *dz, vec z, const real *y) {
    real d[LANES];
    vec loss, a = net->of_output ? online_activations[net->output](z, d) : z;
    *dz = online_loss(net, a, v_set1(y[0]), d, &loss);
    double losses[LANES];
    v_to_double(loss, losses);
    return losses[0];
}

/* The same for several, whose z and dz (n_out) are stored: through the lanes layout of losses, one output a row. */
static double loss_of_several(const mlp_online *net, real *dz, const real *z, const real *y) {
    size_t outputs = net->layers[net->n_layers - 1].n_out, block = outputs * WIDE;
    real *wide_y = net->lanes, *wide_z = wide_y + block, *wide_dz = wide_z + block, *wide_d = wide_dz + block;
    double losses[LANES];
    for (size_t k = 0; k < outputs; k++) {
        vec input = v_set1(z[k]);
        v_store(wide_y + k * WIDE, v_set1(y[k]));
        v_store(wide_z + k * WIDE, net->of_output ? online_activations[net->output](input, wide_d + k * WIDE) : input);
    }
    const mlp_targets targets = {.n_outputs = outputs,
                                 .n = 1,
                                 .stride = WIDE,
                                 .y = wide_y,
                                 .scale = net->scale,
                                 .parameters = net->loss_parameters};
    losses_of_several[net->loss](losses, wide_dz, wide_z, &targets);
    for (size_t k = 0; k < outputs; k++) {
        vec slope = v_load(wide_dz + k * WIDE);
        real lanes[LANES];
        v_store(lanes, net->of_output ? v_mul(slope, v_load(wide_d + k * WIDE)) : slope);
        dz[k] = lanes[0];
    }
    return losses[0];
}

/* Steps on samples x (n, n[0]), y (n, K); returns how many were made: fewer than n where a loss is not finite. */
ALWAYS_INLINE size_t online_steps(const mlp_online *net, double *loss, const real *samples, size_t ldx,
                                  const real *targets, size_t ldy, size_t n, const row_width width) {
    vec rate = v_set1((real)net->rate);
    size_t last = net->n_layers - 1, outputs = net->layers[last].n_out;
    real *stored = net->dz;
    online_row row;
    online_forward(&row, NULL, samples, &net->layers[0], width);
    for (size_t s = 0; s < n; s++) {
        const real *x = samples + s * ldx, *y = targets + s * ldy;
        for (size_t l = 0; l < last; l++) {
            const mlp_online_layer *layer = &net->layers[l];
            online_row a;
            for EACH_PART(v, layer->n_out) {
                a.part[v] = online_activations[layer->activation](row.part[v], (real *)layer->d + v * LANES);
            }
            store_row(layer->a, &a, layer->n_out, width);
            online_forward(&row, &a, layer->a, layer + 1, width);
        }
        double value;
        if (net->of_one) {
            value = loss_of_one(net, &row.part[0], row.part[0], y);
            v_store(stored, row.part[0]);
        } else {
            store_row(net->layers[last].a, &row, outputs, width);
            value = loss_of_several(net, stored, net->layers[last].a, y);
            for EACH_PART(v, outputs) {
                row.part[v] = v_load(stored + v * LANES);
            }
        }
        if (!(value - value == 0)) {
            return s;
        }
        *loss += value;
        for (size_t l = last; l > 0; l--) {
            const mlp_online_layer *layer = &net->layers[l], *under = layer - 1;
            online_row delta;
            online_backward(&delta, &row, stored, layer, width);
            for EACH_PART(v, layer->n_in) {
                delta.part[v] = v_mul(delta.part[v], v_load((real *)under->d + v * LANES));
            }
            online_update(layer, under->a, &row, stored, rate, width);
            row = delta;
            store_row(stored, &row, layer->n_in, width);
        }
        online_turn(&row, &net->layers[0], x, s + 1 < n ? x + ldx : x, &row, rate, width);
    }
    return n;
}

static size_t online(const mlp_online *net, double *loss, const void *samples, size_t ldx, const void *targets,
                     size_t ldy, size_t n) {
    if (LOWER_LANES > 0 && net->widest <= LOWER_LANES) {
        return online_steps(net, loss, samples, ldx, targets, ldy, n, HALF_VECTOR);
    }
    return LANES >= ROW || net->widest <= LANES ? online_steps(net, loss, samples, ldx, targets, ldy, n, ONE_VECTOR)
                                                : online_steps(net, loss, samples, ldx, targets, ldy, n, WHOLE_ROW);
}
