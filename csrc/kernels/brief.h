/* brief.h: as many samples as a virtual vector has lanes, at most, through layers of a few units: their loss and its
 * gradient in one call. Each element is computed by the same operations as in lanes.h: the bits are the same. */

static void brief_column(void *row, const void *column, size_t ld, size_t n) {
    real *to = row;
    const real *from = column;
    vec last = v_set1(from[(n - 1) * ld]);
    for (size_t v = 0; v < WIDE; v += LANES) {
        v_store(to + v, last);
    }
    for (size_t s = 0; s + 1 < n; s++, from += ld) {
        to[s] = *from;
        __asm__("" : : : "memory"); /* so that no loop by vectors is made of this one, of a few rounds */
    }
}

/* A vector of sum_i w[i * step] a[i]. */
ALWAYS_INLINE vec brief_dot(const real *a, const real *w, size_t step, size_t n) {
    vec sum = v_zero();
    for (size_t i = 0; i < n; i++) {
        sum = v_fma(v_load(a + i * WIDE), v_set1(w[i * step]), sum);
    }
    return sum;
}

static inline void brief_forward(const mlp_brief *net) {
    const real *below = net->x;
    for (size_t l = 0; l < net->n_layers; l++) {
        const mlp_brief_layer *layer = &net->layers[l];
        const real *w = layer->w, *b = layer->b;
        real *a = layer->a, *d = layer->d;
        bool activates = l + 1 < net->n_layers || net->of_output;
        for (size_t j = 0; j < layer->n_out; j++) {
            for (size_t v = 0; v < WIDE; v += LANES, a += LANES, d += LANES) {
                vec z = brief_dot(below + v, w + j, layer->n_out, layer->n_in);
                z = b == NULL ? z : v_add(z, v_set1(b[j]));
                v_store(a, activates ? online_activations[layer->activation](z, d) : z);
            }
        }
        below = layer->a;
    }
}

static inline void brief_backward(const mlp_brief *net) {
    for (size_t l = net->n_layers - 1; l > 0; l--) {
        const mlp_brief_layer *layer = &net->layers[l], *under = layer - 1;
        const real *w = layer->w, *dz = layer->dz, *d = under->d;
        real *to = under->dz;
        for (size_t i = 0; i < layer->n_in; i++, w += layer->n_out) {
            for (size_t v = 0; v < WIDE; v += LANES, to += LANES, d += LANES) {
                v_store(to, v_mul(brief_dot(dz + v, w, 1, layer->n_out), v_load(d)));
            }
        }
    }
}

/* Each the sum of its factors' products, a vector of parameters at a time. */
static inline void brief_gradient(const mlp_brief *net, real *gradient) {
    for (size_t p = 0; p < net->n_parameters; p += LANES) {
        vec halves[LANES];
        for (size_t r = 0; r < LANES; r++) {
            const real *a = net->factors[p + r].a, *dz = net->factors[p + r].dz;
            vec row[WIDE_VECTORS];
            for (size_t v = 0; v < WIDE_VECTORS; v++) {
                row[v] = v_fma(v_load(a + v * LANES), v_load(dz + v * LANES), v_zero());
            }
            halves[r] = add_halves(row);
        }
        v_store_n(gradient + p, v_totals(halves), net->n_parameters - p);
    }
}

static double brief(const mlp_brief *net, void *gradient, const void *x, const void *y) {
    const mlp_brief_layer *last = &net->layers[net->n_layers - 1];
    double losses[WIDE];
    for (size_t i = 0; i < net->layers[0].n_in * WIDE; i += LANES) { /* to where the factors are */
        v_store((real *)net->x + i, v_load((const real *)x + i));
    }
    brief_forward(net);
    const mlp_targets targets = {.n_outputs = last->n_out,
                                 .n = WIDE,
                                 .stride = WIDE,
                                 .y = y,
                                 .scale = net->scale,
                                 .parameters = net->loss_parameters};
    losses_of_several[net->loss](losses, last->dz, last->a, &targets);
    for (size_t i = 0; i < last->n_out * WIDE && net->of_output; i += LANES) {
        real *dz = (real *)last->dz + i;
        v_store(dz, v_mul(v_load(dz), v_load((const real *)last->d + i)));
    }
    brief_backward(net);
    brief_gradient(net, gradient);
    return sum_losses(losses, NULL, net->n);
}
