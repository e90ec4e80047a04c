/* single.h: a layer of one unit over a row-major block, and the forward pass of up to MLP_DOTS units: their weights are
 * vectors, and a register tile would be empty but for a few lanes.
 *
 * z runs over the inputs in one virtual vector of 64 bytes, input p in lane p mod WIDE, added up by the tree of
 * lanes.h: the same bits for every width of a native vector and any number of rows. The gradients are the same chains
 * over samples as gemm.h's. */

enum { DOT_ROWS = 4 }; /* rows of a at a time: enough chains to hide the latency of a fused multiply-add */

/* wide[r] (WIDE) = the virtual vector of row r, for `count` rows; those past the last one repeat it. */
ALWAYS_INLINE void dot_wide(real *wide, const real *a, size_t ld, const real *w, size_t rows, size_t n,
                            const size_t count) {
    vec sum[DOT_ROWS][WIDE_VECTORS];
    const real *row[DOT_ROWS];
    for (size_t r = 0; r < count; r++) {
        row[r] = a + (r < rows ? r : rows - 1) * ld;
        for (size_t v = 0; v < WIDE_VECTORS; v++) {
            sum[r][v] = v_zero();
        }
    }
    size_t whole = n - n % WIDE;
    for (size_t p = 0; p < whole; p += WIDE) {
        for (size_t v = 0; v < WIDE_VECTORS; v++) {
            vec weight = v_load(w + p + v * LANES);
            for (size_t r = 0; r < count; r++) {
                sum[r][v] = v_fma(v_load(row[r] + p + v * LANES), weight, sum[r][v]);
            }
        }
    }
    for (size_t v = 0; v < WIDE_VECTORS && whole + v * LANES < n; v++) {
        size_t p = whole + v * LANES;
        vec weight = v_load_n(w + p, n - p);
        for (size_t r = 0; r < count; r++) {
            sum[r][v] = v_fma(v_load_n(row[r] + p, n - p), weight, sum[r][v]);
        }
    }
    for (size_t r = 0; r < count; r++) {
        for (size_t v = 0; v < WIDE_VECTORS; v++) {
            v_store(wide + r * WIDE + v * LANES, sum[r][v]);
        }
    }
}

/* The sum of a virtual vector by the tree of add_up_rows; the vector is used up. */
static inline real add_up(real *wide) {
    UNROLL(4)
    for (size_t half = WIDE / 2; half > 0; half /= 2) {
        for (size_t lane = 0; lane < half; lane++) {
            wide[lane] += wide[lane + half];
        }
    }
    return wide[0];
}

/* z[i] = sum_p a[i][p] w[p] + bias, written to whole virtual vectors; the bias (or NULL) is added last. */
static void dots(real *z, const real *a, size_t ld, const real *w, const real *bias, size_t rows, size_t n) {
    for (size_t i = 0; i < rows; i += WIDE) {
        real wide[WIDE * WIDE];
        size_t left = rows - i < WIDE ? rows - i : WIDE;
        if (left == 1) {
            dot_wide(wide, a + i * ld, ld, w, 1, n, 1);
        }
        for (size_t r = 0; r < left && left > 1; r += DOT_ROWS) {
            dot_wide(wide + r * WIDE, a + (i + r) * ld, ld, w, left - r, n, DOT_ROWS);
        }
        if (left <= DOT_ROWS) { /* the transposition in add_up_rows would not pay */
            for (size_t v = 0; v < WIDE; v += LANES) {
                v_store(z + i + v, v_zero());
            }
            for (size_t r = 0; r < left; r++) {
                z[i + r] = add_up(wide + r * WIDE);
            }
        } else {
            for (size_t v = left * WIDE; v < WIDE * WIDE; v += LANES) {
                v_store(wide + v, v_zero());
            }
            add_up_rows(z + i, wide);
        }
        for (size_t v = 0; v < WIDE && bias != NULL; v += LANES) {
            v_store(z + i + v, v_add(v_load(z + i + v), v_set1(*bias)));
        }
    }
}

/* The columns of w (n, outputs), ld apart. */
ALWAYS_INLINE void split_columns(real *columns, size_t ld, const real *w, size_t n, const size_t outputs) {
    for (size_t p = 0; p < n; p++) {
        for (size_t k = 0; k < outputs; k++) {
            columns[k * ld + p] = w[p * outputs + k];
        }
    }
}

/* z (outputs, stride) of a layer of up to MLP_DOTS units: the same for each. */
static void dots_forward(void *z, size_t stride, const void *a, size_t ld, const void *w, void *columns,
                         const void *bias, size_t rows, size_t n, size_t outputs) {
    size_t ld_columns = (n + WIDE - 1) / WIDE * WIDE;
    if (outputs == 2) { /* by shuffles */
        split_columns(columns, ld_columns, w, n, 2);
    } else if (outputs > 2) {
        split_columns(columns, ld_columns, w, n, outputs);
    }
    for (size_t k = 0; k < outputs; k++) {
        dots((real *)z + k * stride, a, ld, outputs == 1 ? w : (const real *)columns + k * ld_columns,
             bias == NULL ? NULL : (const real *)bias + k, rows, n);
    }
}

ALWAYS_INLINE void gradient_columns(real *dw, const real *a, size_t ld, const real *dz, size_t rows, size_t n,
                                    bool accumulate, const int vectors) {
    vec sum[4];
    size_t last = (size_t)(vectors - 1) * LANES;
    for (int j = 0; j < vectors; j++) {
        sum[j] = accumulate ? v_load_n(dw + (size_t)j * LANES, n - (size_t)j * LANES) : v_zero();
    }
    for (size_t i = 0; i < rows; i++, a += ld) {
        vec delta = v_set1(dz[i]);
        UNROLL(4)
        for (int j = 0; j + 1 < vectors; j++) {
            sum[j] = v_fma(v_load(a + (size_t)j * LANES), delta, sum[j]);
        }
        sum[vectors - 1] = v_fma(v_load_n(a + last, n - last), delta, sum[vectors - 1]);
    }
    for (int j = 0; j < vectors; j++) {
        v_store_n(dw + (size_t)j * LANES, sum[j], n - (size_t)j * LANES);
    }
}

/* dw (n,) (+)= a^T dz; db, unless NULL, (+)= the sum of dz. */
static void single_gradient(void *gradient, void *bias_gradient, const void *inputs, size_t ld, const void *deltas,
                            size_t rows, size_t n, bool accumulate) {
    real *dw = gradient, *db = bias_gradient;
    const real *a = inputs, *dz = deltas;
    if (db != NULL) {
        real wide[WIDE];
        lanes_columns(NULL, 0, wide, NULL, dz, rows, false, 0);
        real sum = add_up(wide);
        *db = accumulate ? *db + sum : sum;
    }
    for (size_t j = 0; j < n; j += 4 * LANES) {
        size_t columns = n - j < 4 * LANES ? n - j : 4 * LANES;
        switch ((columns + LANES - 1) / LANES) {
#define WIDTH(v) \
    case v: gradient_columns(dw + j, a + j, ld, dz, rows, columns, accumulate, v); break;
            WIDTH(1)
            WIDTH(2)
            WIDTH(3)
            WIDTH(4)
#undef WIDTH
        default: break;
        }
    }
}
