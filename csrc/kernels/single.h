/* single.h: a layer of one unit over a row-major block, and the forward pass of up to MLP_DOTS units: their weights are
 * vectors, and a register tile would be empty but for a few lanes.
 *
 * z runs over the inputs in one virtual vector of 64 bytes, input p in lane p mod WIDE, added up by the tree of
 * lanes.h: the same bits for every width of a native vector and any number of rows. dw is the same chain over samples as
 * gemm.h's. */

/* Rows of a at a time: enough chains to hide the latency of a fused multiply-add. */
enum { DOT_CHAINS = WIDE_VECTORS == 1 ? 8 : 4, DOT_ROWS = LANES < DOT_CHAINS ? LANES : DOT_CHAINS };

/* halves[r] = of the virtual vector of row r what add_halves makes of it, for `count` rows; those past the last one
 * repeat it. */
ALWAYS_INLINE void dot_halves(vec *halves, const real *a, size_t ld, const real *w, size_t rows, size_t n,
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
        halves[r] = add_halves(sum[r]);
    }
}

/* The sum of n lanes by the same tree; they are used up. */
ALWAYS_INLINE real add_up(real *lanes, const size_t n) {
    UNROLL(4)
    for (size_t half = n / 2; half > 0; half /= 2) {
        for (size_t lane = 0; lane < half; lane++) {
            lanes[lane] += lanes[lane + half];
        }
    }
    return lanes[0];
}

/* The dots of LANES rows, or of those that there are: 0 in the place of others. */
ALWAYS_INLINE vec dot_rows(const real *a, size_t ld, const real *w, size_t rows, size_t n) {
    vec halves[LANES];
    UNROLL(4)
    for (size_t r = 0; r < LANES; r += DOT_ROWS) {
        if (r < rows) {
            dot_halves(halves + r, a + r * ld, ld, w, rows - r, n, DOT_ROWS);
        } else {
            for (size_t i = 0; i < DOT_ROWS; i++) {
                halves[r + i] = v_zero();
            }
        }
    }
    return v_totals(halves);
}

/* Of less than LANES rows: by itself, so that whole groups are compiled without its conditions. */
static NOT_INLINE vec dot_last_rows(const real *a, size_t ld, const real *w, size_t rows, size_t n) {
    return dot_rows(a, ld, w, rows, n);
}

/* z[i] = sum_p a[i][p] w[p] + bias, written to whole virtual vectors; the bias (or NULL) is added last. */
static void dots(real *z, const real *a, size_t ld, const real *w, const real *bias, size_t rows, size_t n) {
    vec added = v_set1(bias == NULL ? 0 : *bias);
    for (size_t i = 0; i < rows || i % WIDE != 0; i += LANES) {
        size_t left = i < rows ? rows - i : 0;
        const real *row = left > 0 ? a + i * ld : NULL;
        vec sum = left >= LANES ? dot_rows(row, ld, w, LANES, n) : dot_last_rows(row, ld, w, left, n);
        v_store(z + i, bias == NULL ? sum : v_add(sum, added));
    }
}

/* The same of a single row. */
static void dot_single(real *z, const real *a, const real *w, const real *bias, size_t n) {
    vec halves;
    real lanes[LANES];
    dot_halves(&halves, a, 0, w, 1, n, 1);
    v_store(lanes, halves);
    for (size_t v = 0; v < WIDE; v += LANES) {
        v_store(z + v, v_zero());
    }
    *z = bias == NULL ? add_up(lanes, LANES) : add_up(lanes, LANES) + *bias;
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
        const real *column = outputs == 1 ? w : (const real *)columns + k * ld_columns;
        const real *b = bias == NULL ? NULL : (const real *)bias + k;
        if (rows == 1) {
            dot_single((real *)z + k * stride, a, column, b, n);
        } else {
            dots((real *)z + k * stride, a, ld, column, b, rows, n);
        }
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
    real sum = add_up(wide, WIDE);
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
