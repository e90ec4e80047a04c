/* lanes.h: layers of a few units, with samples in the lanes: one row of samples per unit, weights broadcast.
 *
 * The forward and backward products are the same chains of fused multiply-adds as gemm.h's, so a sample has the same bits
 * either way. Sums over samples run in one virtual vector of 64 bytes per parameter, sample s in lane s mod WIDE, added up
 * at the end by one tree: the same bits for every width of a native vector. */

#define WIDE (MLP_VECTOR_BYTES / sizeof(real))
#define WIDE_VECTORS (WIDE / LANES)

/* z[j] = bias[j] + sum_i w[i * w_in + j * w_out] a[i], for n samples; the bias (or NULL) is added last. */
ALWAYS_INLINE void lanes_product(real *z, const real *a, const real *w, size_t w_in, size_t w_out, const real *bias,
                                 size_t n_in, size_t n_out, size_t n) {
    for (size_t j = 0; j < n_out; j++) {
        const real *column = w + j * w_out;
        for (size_t s = 0; s < n; s += WIDE) {
            vec sum[WIDE_VECTORS];
            for (size_t v = 0; v < WIDE_VECTORS; v++) {
                sum[v] = v_zero();
            }
            for (size_t i = 0; i < n_in; i++) {
                vec weight = v_set1(column[i * w_in]);
                for (size_t v = 0; v < WIDE_VECTORS; v++) {
                    sum[v] = v_fma(v_load(a + i * n + s + v * LANES), weight, sum[v]);
                }
            }
            for (size_t v = 0; v < WIDE_VECTORS; v++) {
                v_store(z + j * n + s + v * LANES, bias == NULL ? sum[v] : v_add(sum[v], v_set1(bias[j])));
            }
        }
    }
}

static void lanes_forward(void *z, const void *a, const void *w, const void *bias, size_t n_in, size_t n_out,
                          size_t n) {
    lanes_product(z, a, w, n_out, 1, bias, n_in, n_out, n);
}

static void lanes_backward(void *da, const void *dz, const void *w, size_t n_in, size_t n_out, size_t n) {
    lanes_product(da, dz, w, 1, n_out, NULL, n_out, n_in, n);
}

/* sums (+)= a[s] dz[s], or dz[s] alone where a is NULL, over n samples. */
ALWAYS_INLINE void lanes_sum(real *sums, const real *a, const real *dz, size_t n, bool accumulate) {
    vec sum[WIDE_VECTORS];
    for (size_t v = 0; v < WIDE_VECTORS; v++) {
        sum[v] = accumulate ? v_load(sums + v * LANES) : v_zero();
    }
    for (size_t s = 0; s < n; s += WIDE) {
        for (size_t v = 0; v < WIDE_VECTORS; v++) {
            vec delta = v_load(dz + s + v * LANES);
            sum[v] = a == NULL ? v_add(sum[v], delta) : v_fma(v_load(a + s + v * LANES), delta, sum[v]);
        }
    }
    for (size_t v = 0; v < WIDE_VECTORS; v++) {
        v_store(sums + v * LANES, sum[v]);
    }
}

static void lanes_gradient(void *sums, const void *a, const void *dz, size_t n_in, size_t n_out, size_t n, bool bias,
                           bool accumulate) {
    real *to = sums;
    for (size_t i = 0; i < n_in; i++) {
        for (size_t j = 0; j < n_out; j++, to += WIDE) {
            lanes_sum(to, (const real *)a + i * n, (const real *)dz + j * n, n, accumulate);
        }
    }
    for (size_t j = 0; j < n_out && bias; j++, to += WIDE) {
        lanes_sum(to, NULL, (const real *)dz + j * n, n, accumulate);
    }
}

/* out[i] = the sum of row i of `wide` (WIDE, WIDE), each by the same tree: halves added until one element is left. */
static inline void add_up_rows(real *out, const real *wide) {
    real columns[WIDE * WIDE];
    for (size_t i = 0; i < WIDE; i += LANES) {
        for (size_t j = 0; j < WIDE; j += LANES) {
            v_transpose(columns + j * WIDE + i, WIDE, wide + i * WIDE + j, WIDE);
        }
    }
    for (size_t v = 0; v < WIDE; v += LANES) {
        vec tree[WIDE];
        for (size_t lane = 0; lane < WIDE; lane++) {
            tree[lane] = v_load(columns + lane * WIDE + v);
        }
#pragma GCC unroll 4
        for (size_t half = WIDE / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
            for (size_t lane = 0; lane < half; lane++) {
                tree[lane] = v_add(tree[lane], tree[lane + half]);
            }
        }
        v_store(out + v, tree[0]);
    }
}

static void lanes_reduce(void *out, const void *sums, size_t n) {
    real *to = out;
    const real *from = sums;
    size_t whole = n - n % WIDE;
    for (size_t i = 0; i < whole; i += WIDE) {
        add_up_rows(to + i, from + i * WIDE);
    }
    if (whole < n) {
        real rest[WIDE * WIDE] = {0}, last[WIDE];
        memcpy(rest, from + whole * WIDE, (n - whole) * WIDE * sizeof(real));
        add_up_rows(last, rest);
        memcpy(to + whole, last, (n - whole) * sizeof(real));
    }
}
