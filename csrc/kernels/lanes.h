/* lanes.h: layers of a few units, with samples in the lanes: one row of samples per unit, weights broadcast.
 *
 * The forward and backward products are the same chains of fused multiply-adds as gemm.h's. Sums over samples run in
 * one virtual vector of 64 bytes per parameter, sample s in lane s mod WIDE, added up at the end by one tree: the same
 * bits for every width of a native vector. */

#define WIDE (MLP_VECTOR_BYTES / sizeof(real))
#define WIDE_VECTORS (WIDE / LANES)
/* Virtual vectors, or units, that are worked on together: as many chains as hide latencies, and registers hold. */
enum { TOGETHER = WIDE_VECTORS > 4 ? 1 : 4 };

/* z = bias + sum_i w[i * w_in] a[i], for `count` virtual vectors of samples; the bias (or NULL) is added last. */
ALWAYS_INLINE void lanes_dot(real *z, const real *a, const real *w, size_t w_in, const real *bias, size_t n_in,
                             size_t n, const int count) {
    vec sum[TOGETHER * WIDE_VECTORS];
    const size_t vectors = (size_t)count * WIDE_VECTORS;
    for (size_t v = 0; v < vectors; v++) {
        sum[v] = v_zero();
    }
    for (size_t i = 0; i < n_in; i++) {
        vec weight = v_set1(w[i * w_in]);
        for (size_t v = 0; v < vectors; v++) {
            sum[v] = v_fma(v_load(a + i * n + v * LANES), weight, sum[v]);
        }
    }
    vec added = v_set1(bias == NULL ? 0 : *bias); /* once: z might lie where it is */
    for (size_t v = 0; v < vectors; v++) {
        v_store(z + v * LANES, bias == NULL ? sum[v] : v_add(sum[v], added));
    }
}

/* z[j] = bias[j] + sum_i w[i * w_in + j * w_out] a[i], for n samples. */
ALWAYS_INLINE void lanes_product(real *z, const real *a, const real *w, size_t w_in, size_t w_out, const real *bias,
                                 size_t n_in, size_t n_out, size_t n) {
    for (size_t j = 0; j < n_out; j++) {
        const real *column = w + j * w_out, *b = bias == NULL ? NULL : bias + j;
        size_t s = 0;
        for (; s + TOGETHER * WIDE <= n; s += TOGETHER * WIDE) {
            lanes_dot(z + j * n + s, a + s, column, w_in, b, n_in, n, TOGETHER);
        }
        for (; s < n && TOGETHER > 1; s += WIDE) {
            lanes_dot(z + j * n + s, a + s, column, w_in, b, n_in, n, 1);
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

/* sums (+)= a[s] dz[s] over n samples, for `count` rows of a, n apart, the sums `apart` elements apart; and unless it
 * is NULL, alone (+)= dz[s]. */
ALWAYS_INLINE void lanes_columns(real *sums, size_t apart, real *alone, const real *a, const real *dz, size_t n,
                                 bool accumulate, const int count) {
    vec sum[TOGETHER][WIDE_VECTORS], rest[WIDE_VECTORS];
    for (size_t v = 0; v < WIDE_VECTORS; v++) {
        for (int i = 0; i < count; i++) {
            sum[i][v] = accumulate ? v_load(sums + (size_t)i * apart + v * LANES) : v_zero();
        }
        rest[v] = accumulate && alone != NULL ? v_load(alone + v * LANES) : v_zero();
    }
    for (size_t s = 0; s < n; s += WIDE) {
        for (size_t v = 0; v < WIDE_VECTORS; v++) {
            vec delta = v_held(v_load(dz + s + v * LANES));
            for (int i = 0; i < count; i++) {
                sum[i][v] = v_fma(v_load(a + (size_t)i * n + s + v * LANES), delta, sum[i][v]);
            }
            rest[v] = v_add(rest[v], delta);
        }
    }
    for (size_t v = 0; v < WIDE_VECTORS; v++) {
        for (int i = 0; i < count; i++) {
            v_store(sums + (size_t)i * apart + v * LANES, sum[i][v]);
        }
        if (alone != NULL) {
            v_store(alone + v * LANES, rest[v]);
        }
    }
}

static void lanes_gradient(void *sums, const void *inputs, const void *deltas, size_t n_in, size_t n_out, size_t n,
                           bool bias, bool accumulate) {
    const real *a = inputs;
    for (size_t j = 0; j < n_out; j++) {
        const real *dz = (const real *)deltas + j * n;
        for (size_t i = 0; i < n_in; i += TOGETHER) {
            real *to = (real *)sums + (i * n_out + j) * WIDE;
            real *alone = bias && i == 0 ? (real *)sums + (n_in * n_out + j) * WIDE : NULL;
            switch (n_in - i < TOGETHER ? n_in - i : TOGETHER) {
#define COUNT_OF(c)                                                                  \
    case c:                                                                          \
        if (c <= TOGETHER) {                                                         \
            lanes_columns(to, n_out * WIDE, alone, a + i * n, dz, n, accumulate, c); \
        }                                                                            \
        break;
                COUNT_OF(1)
                COUNT_OF(2)
                COUNT_OF(3)
                COUNT_OF(4)
#undef COUNT_OF
            default: break;
            }
        }
    }
}

/* Of a virtual vector the native one that comes of it when halves are added: totals of these are sums of that. */
ALWAYS_INLINE vec add_halves(const vec *wide) {
    vec tree[WIDE_VECTORS];
    for (size_t v = 0; v < WIDE_VECTORS; v++) {
        tree[v] = wide[v];
    }
    for (size_t half = WIDE_VECTORS / 2; half > 0; half /= 2) {
        for (size_t v = 0; v < half; v++) {
            tree[v] = v_add(tree[v], tree[v + half]);
        }
    }
    return tree[0];
}

/* out[i] = the sum of row i of `wide` (WIDE, WIDE), each by the same tree: halves added until one element is left. */
static inline void add_up_rows(real *out, const real *wide) {
    for (size_t i = 0; i < WIDE; i += LANES) {
        vec halves[LANES];
        for (size_t r = 0; r < LANES; r++, wide += WIDE) {
            vec row[WIDE_VECTORS];
            for (size_t v = 0; v < WIDE_VECTORS; v++) {
                row[v] = v_load(wide + v * LANES);
            }
            halves[r] = add_halves(row);
        }
        v_store(out + i, v_totals(halves));
    }
}

/* Of `sums` (n, WIDE), whose last rows are followed by as many as make whole blocks of WIDE. */
static void lanes_reduce(void *out, const void *sums, size_t n) {
    real *to = out;
    const real *from = sums;
    size_t whole = n - n % WIDE;
    for (size_t i = 0; i < whole; i += WIDE) {
        add_up_rows(to + i, from + i * WIDE);
    }
    if (whole < n) {
        real last[WIDE];
        add_up_rows(last, from + whole * WIDE);
        memcpy(to + whole, last, (n - whole) * sizeof(real));
    }
}

static void copy_columns(void *out, size_t stride, const void *columns, size_t apart, size_t rows, size_t n) {
    static const real places[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const real *from = columns;
    real *to = out;
    size_t whole = n - n % LANES, left = n - whole;
    mask there = v_lt(v_load(places), v_set1((real)left));
    for (size_t i = 0; i < rows; i++, from += apart, to += stride) {
        for (size_t j = 0; j < whole; j += LANES) {
            v_store(to + j, v_load(from + j));
        }
        vec last = v_set1(from[n - 1]);
        for (size_t j = whole; j < stride; j += LANES) {
            v_store(to + j, j == whole && left > 0 ? v_select(there, v_load_n(from + j, left), last) : last);
        }
    }
}

/* From the last row on: what a vector that is stored in part leaves out would be waited for when it is read. */
static void repeat_last(void *a, size_t rows, size_t n, size_t stride) {
    for (real *row = (real *)a + rows * stride; rows > 0; rows--) {
        row -= stride;
        vec last = v_set1(row[n - 1]);
        for (size_t j = n; j < stride; j += LANES) {
            v_store_n(row + j, last, stride - j);
        }
    }
}
