/* online.h: gradient descent one sample at a time through layers of a few units, many steps in one call.
 *
 * Everything is a chain of latencies here, so the units of a layer lie in the lanes of one row of ROW elements and the
 * weights stay in rows of their own, once as they are and once transposed. Each element is computed by the same operations
 * as in a batch of one sample elsewhere: the bits are the same. */

enum { ROW = MLP_ONLINE_ROW };

/* z (n_out) = a W + b */
ALWAYS_INLINE void online_forward(real *z, const real *a, const mlp_online_layer *layer) {
    const real *w = layer->w, *b = layer->b;
    for (size_t v = 0; v < layer->n_out; v += LANES) {
        vec sum = v_zero();
        for (size_t i = 0; i < layer->n_in; i++) {
            sum = v_fma(v_set1(a[i]), v_load(w + i * ROW + v), sum);
        }
        v_store(z + v, b == NULL ? sum : v_add(sum, v_load(b + v)));
    }
}

/* da (n_in) = dz W^T */
ALWAYS_INLINE void online_backward(real *da, const real *dz, const mlp_online_layer *layer) {
    const real *transposed = layer->transposed;
    for (size_t v = 0; v < layer->n_in; v += LANES) {
        vec sum = v_zero();
        for (size_t j = 0; j < layer->n_out; j++) {
            sum = v_fma(v_set1(dz[j]), v_load(transposed + j * ROW + v), sum);
        }
        v_store(da + v, sum);
    }
}

/* p -= rate factor x. A gradient is a sum that begins at 0 elsewhere: it is never -0. */
ALWAYS_INLINE void descend(real *p, vec factor, const real *x, size_t n, vec rate) {
    for (size_t v = 0; v < n; v += LANES) {
        vec gradient = v_add(v_mul(factor, v_load(x + v)), v_zero());
        v_store(p + v, v_nfma(rate, gradient, v_load(p + v)));
    }
}

/* W -= rate a^T dz, b -= rate dz */
ALWAYS_INLINE void online_update(const mlp_online_layer *layer, const real *a, const real *dz, vec rate) {
    real *w = layer->w, *transposed = layer->transposed, *b = layer->b;
    for (size_t i = 0; i < layer->n_in; i++) {
        descend(w + i * ROW, v_set1(a[i]), dz, layer->n_out, rate);
    }
    for (size_t j = 0; transposed != NULL && j < layer->n_out; j++) {
        descend(transposed + j * ROW, v_set1(dz[j]), a, layer->n_in, rate);
    }
    if (b != NULL) {
        descend(b, v_set1(1), dz, layer->n_out, rate);
    }
}

static void (*const online_activations[])(void *, void *, const void *, size_t, size_t, size_t) = {
#define ENTRY(name, from) [MLP_ACT_##name] = forward_##name,
    MLP_ACTIVATIONS(ENTRY)
#undef ENTRY
};
static void (*const online_derivatives[])(void *, const void *, size_t, size_t, size_t) = {
#define ENTRY(name, from) [MLP_ACT_##name] = backward_##name,
    MLP_ACTIVATIONS(ENTRY)
#undef ENTRY
};
static void (*const online_losses[])(double *, void *, const void *, const mlp_targets *) = {
#define ENTRY(name, activation, kind, parameter, lowest, highest) [MLP_LOSS_##name] = block_##name,
    MLP_LOSSES(ENTRY)
#undef ENTRY
};

/* The loss of one sample and dz (n_out) by its z (n_out), through the lanes layout of losses: one output a row. A single
 * output is such a row already; whole vectors are written, since a load waits for stores narrower than itself. */
static double online_loss(const mlp_online *net, real *dz, real *z, const real *y) {
    size_t outputs = net->layers[net->n_layers - 1].n_out, block = outputs * WIDE;
    bool single = outputs == 1;
    real *wide_y = net->lanes, *wide_d = wide_y + block, *wide_z = single ? z : wide_d + block;
    real *wide_dz = single ? dz : wide_d + 2 * block;
    double losses[LANES];
    for (size_t k = 0; k < outputs; k++) {
        v_store(wide_y + k * WIDE, v_set1(y[k]));
        if (!single) {
            v_store(wide_z + k * WIDE, v_set1(z[k]));
        }
    }
    if (net->of_output) {
        online_activations[net->output](wide_z, net->output_from_input ? wide_d : NULL, NULL, outputs, LANES, WIDE);
    }
    const mlp_targets targets = {.n_outputs = outputs,
                                 .n = 1,
                                 .stride = WIDE,
                                 .y = wide_y,
                                 .scale = net->scale,
                                 .parameters = net->loss_parameters};
    online_losses[net->loss](losses, wide_dz, wide_z, &targets);
    if (net->of_output) {
        online_derivatives[net->output](wide_dz, net->output_from_input ? wide_d : wide_z, outputs, LANES, WIDE);
    }
    for (size_t k = 0; k < outputs && !single; k++) {
        dz[k] = wide_dz[k * WIDE];
    }
    return losses[0];
}

/* Steps on samples x (n, n[0]), y (n, K); returns how many were made: fewer than n where a loss is not finite. */
static size_t online(const mlp_online *net, double *loss, const void *samples, size_t ldx, const void *targets,
                     size_t ldy, size_t n) {
    vec rate = v_set1((real)net->rate);
    for (size_t s = 0; s < n; s++) {
        const real *x = (const real *)samples + s * ldx, *a = x, *y = (const real *)targets + s * ldy;
        for (size_t l = 0; l < net->n_layers; l++) {
            const mlp_online_layer *layer = &net->layers[l];
            online_forward(layer->a, a, layer);
            if (l + 1 < net->n_layers) {
                online_activations[layer->activation](layer->a, layer->d, NULL, 1, layer->n_out, ROW);
            }
            a = layer->a;
        }
        real *dz = net->dz, *da = net->da;
        double value = online_loss(net, dz, net->layers[net->n_layers - 1].a, y);
        if (!(value - value == 0)) {
            return s;
        }
        *loss += value;
        for (size_t l = net->n_layers; l-- > 0;) {
            const mlp_online_layer *layer = &net->layers[l], *below = layer - 1;
            if (l > 0) {
                online_backward(da, dz, layer);
                online_derivatives[below->activation](da, below->d != NULL ? below->d : below->a, 1, below->n_out, ROW);
            }
            online_update(layer, l > 0 ? below->a : x, dz, rate);
            real *next = da;
            da = dz;
            dz = next;
        }
    }
    return n;
}
