/* single.h: a layer of one unit over a row-major block, and the forward pass of up to MLP_DOTS units: their weights are
 * vectors, and a register tile would be empty but for a few lanes.
 *
 * z runs over the inputs in one virtual vector of 64 bytes, input p in lane p mod WIDE, added up by the tree of
 * lanes.h: the same bits for every width of a native vector and any number of rows. dw is the same chain
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
    for (int j = 0; j < vectors; j++) {
        size_t at = (size_t)j * LANES;
        sum[j] = accumulate ? v_load_n(dw + at, n - at) : v_zero();
    }
    for (size_t i = 0; i < rows; i++, a += ld) {
        vec delta = v_set1(dz[i]);
        UNROLL(4)
        for (int j = 0; j < vectors; j++) {
            size_t at = (size_t)j * LANES;
            sum[j] = v_fma(j + 1 < vectors ? v_load(a + at) : v_load_n(a + at, n - at), delta, sum[j]);
        }
    }
    for (int j = 0; j < vectors; j++) {
        size_t at = (size_t)j * LANES;
        v_store_n(dw + at, sum[j], n - at);
    }
}

/* *db (+)= the sum of dz. */
static NOT_INLINE void sum_deltas(real *db, const real *dz, size_t rows, bool accumulate) {
    real wide[WIDE];
    lanes_columns(NULL, 0, wide, NULL, dz, rows, false, 0);
    real sum = add_up(wide);
    *db = accumulate ? *db + sum : sum;
}

/* dw (n,) (+)= a^T dz; db, unless NULL, (+)= the sum of dz. */
static void single_gradient(void *dw, void *db, const void *a, size_t ld, const void *dz, size_t rows, size_t n,
                            bool accumulate) {
    if (db != NULL) {
        sum_deltas(db, dz, rows, accumulate);
    }
#define PASS(vectors) gradient_columns((real *)dw + j, (const real *)a + j, ld, dz, rows, n - j, accumulate, vectors)
    BY_VECTORS(j, n, PASS)
#undef PASS
}

/* Of up to four vectors of columns: w, and the sums that go on from row to row. */
typedef struct {
    vec w[4], dw[4], db[4];
} back_sums;

static NOT_INLINE void begin_columns(back_sums *sums, const mlp_single *p, size_t j, size_t vectors) {
    for (size_t v = 0; v < vectors; v++, j += LANES) {
        sums->w[v] = v_load((const real *)p->w + j);
        sums->dw[v] = p->accumulate ? v_load_n((const real *)p->dw + j, p->n - j) : v_zero();
        sums->db[v] =
            p->accumulate && p->db_below != NULL ? v_load_n((const real *)p->db_below + j, p->n - j) : v_zero();
    }
}

static NOT_INLINE void end_columns(const back_sums *sums, const mlp_single *p, size_t j, size_t vectors) {
    for (size_t v = 0; v < vectors; v++, j += LANES) {
        v_store_n((real *)p->dw + j, sums->dw[v], p->n - j);
        if (p->db_below != NULL) {
            v_store_n((real *)p->db_below + j, sums->db[v], p->n - j);
        }
    }
}

/* Of `vectors` vectors all rows; dg: g' from the slopes, which are a itself unless there are some. */
ALWAYS_INLINE void back_columns(const mlp_single *p, size_t j, const real *slopes, vec (*dg)(vec), const int vectors) {
    real *a = (real *)p->a + j;
    const real *dz = p->dz;
    back_sums sums;
    vec w[4], dw[4], db[4]; /* of them, in registers */
    begin_columns(&sums, p, j, (size_t)vectors);
    UNROLL(4)
    for (int v = 0; v < vectors; v++) {
        w[v] = sums.w[v];
        dw[v] = sums.dw[v];
        db[v] = sums.db[v];
    }
    for (size_t i = 0; i < p->rows; i++, a += p->ld) {
        vec delta = v_set1(dz[i]);
        UNROLL(4)
        for (int v = 0; v < vectors; v++) {
            size_t at = (size_t)v * LANES;
            vec x = v_load(a + at), slope = dg(v_held(slopes == NULL ? x : v_load(slopes + i * p->ld + j + at)));
            vec below = v_mul(v_mul(delta, w[v]), slope);
            dw[v] = v_fma(x, delta, dw[v]);
            db[v] = v_add(db[v], below);
            v_store(a + at, below);
        }
    }
    UNROLL(4)
    for (int v = 0; v < vectors; v++) {
        sums.dw[v] = dw[v];
        sums.db[v] = db[v];
    }
    end_columns(&sums, p, j, (size_t)vectors);
}

ALWAYS_INLINE void back_from_single(const mlp_single *p, const real *slopes, vec (*dg)(vec)) {
    if (p->db != NULL) {
        sum_deltas(p->db, p->dz, p->rows, p->accumulate);
    }
#define PASS(vectors) back_columns(p, j, slopes, dg, vectors)
    BY_VECTORS(j, p->n, PASS)
#undef PASS
}

/* For activations often met, and all whose g' comes from the input; each of the others would take 8 kB of the
 * extension's megabyte. */
static void single_backward_relu(const mlp_single *p) { back_from_single(p, NULL, d_relu); }
static void single_backward_sigmoid(const mlp_single *p) { back_from_single(p, NULL, d_sigmoid); }
static void single_backward_tanh(const mlp_single *p) { back_from_single(p, NULL, d_tanh); }
static void single_backward_by_slopes(const mlp_single *p) { back_from_single(p, p->slopes, unchanged); }
