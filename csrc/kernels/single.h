/* single.h: a layer of one unit over a row-major block, and the forward pass of a few units after many inputs: their
 * weights are vectors over the inputs, and a register tile would be empty but for a few lanes.
 *
 * z runs over the inputs in one virtual vector of 64 bytes, input p in lane p mod WIDE, added up by the tree of
 * lanes.h: the same bits for every width of a native vector and any number of rows. dw is the same chain over samples
 * as gemm.h's. */

/* Rows at a time, units whose weights they meet, and as many sums as registers hold: enough chains to hide the latency
 * of a fused multiply-add. */
enum {
    DOT_CHAINS = WIDE_VECTORS == 1 ? 8 : 4,
    DOT_ROWS = LANES < DOT_CHAINS ? LANES : DOT_CHAINS,
    DOT_UNITS = LANES < 2 ? 1 : DOT_CHAINS / 2,
    DOT_SUMS = WIDE_VECTORS == 1 ? 16 : 4
};

/* So many rows of a and units' rows of w, of n elements. */
typedef struct {
    const real *a, *w;
    size_t ld, ldw, rows, units, n;
    size_t ahead; /* elements from what is read of a to what is fetched into the L2 cache; 0: nothing is */
} dot_operands;

/* Some lanes of `rows` rows, from element p on, times those of the units. */
ALWAYS_INLINE void dot_step(vec (*sum)[DOT_UNITS], const real *const *a, const real *const *w, size_t p, size_t n,
                            const size_t rows, const size_t units, size_t ahead) {
    vec weights[DOT_UNITS];
    UNROLL(4)
    for (size_t u = 0; u < units; u++) {
        weights[u] = v_load_n(w[u] + p, n);
    }
    UNROLL(8)
    for (size_t r = 0; r < rows; r++) {
        vec x = v_load_n(a[r] + p, n);
        if (ahead > 0) {
            __builtin_prefetch(a[r] + p + ahead, 0, 2);
        }
        UNROLL(4)
        for (size_t u = 0; u < units; u++) {
            sum[r][u] = v_fma(x, weights[u], sum[r][u]);
        }
    }
}

/* halves[u][to + r] = of the virtual vector of unit u and row first + r what add_halves makes of it; the last row, or
 * unit, stands for those that are not there. */
ALWAYS_INLINE void dot_halves(vec (*halves)[LANES], size_t to, const dot_operands *d, size_t first, const size_t rows,
                              const size_t units) {
    vec sum[WIDE_VECTORS][DOT_ROWS][DOT_UNITS];
    const real *a[DOT_ROWS], *w[DOT_UNITS];
    for (size_t u = 0; u < units; u++) {
        w[u] = d->w + (u < d->units ? u : d->units - 1) * d->ldw;
    }
    for (size_t r = 0; r < rows; r++) {
        a[r] = d->a + (first + r < d->rows ? first + r : d->rows - 1) * d->ld;
        for (size_t v = 0; v < units * WIDE_VECTORS; v++) {
            sum[v / units][r][v % units] = v_zero();
        }
    }
    const size_t n = d->n, whole = n - n % WIDE;
    size_t ahead = d->ahead;
    for (size_t p = 0; p < whole; p += WIDE) {
        UNKNOWN_STRIDE(ahead); /* or there would be a loop for each answer to whether it is 0 */
        for (size_t v = 0; v < WIDE_VECTORS; v++) {
            dot_step(sum[v], a, w, p + v * LANES, LANES, rows, units, v == 0 ? ahead : 0);
        }
    }
    for (size_t v = 0; v < WIDE_VECTORS && whole + v * LANES < n; v++) {
        size_t p = whole + v * LANES;
        dot_step(sum[v], a, w, p, n - p, rows, units, v == 0 ? d->ahead : 0);
    }
    for (size_t u = 0; u < units; u++) {
        for (size_t r = 0; r < rows; r++) {
            vec wide[WIDE_VECTORS];
            for (size_t v = 0; v < WIDE_VECTORS; v++) {
                wide[v] = sum[v][r][u];
            }
            halves[u][to + r] = add_halves(wide);
        }
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

/* The same of a group of rows; of rows that are not there 0. */
ALWAYS_INLINE void dot_group(vec (*halves)[LANES], const dot_operands *d, size_t r, const size_t rows,
                             const size_t units) {
    if (r < d->rows) {
        dot_halves(halves, r, d, r, rows, units);
        return;
    }
    for (size_t i = 0; i < rows * units; i++) {
        halves[i % units][r + i / units] = v_zero();
    }
}

/* z of LANES rows (where there are fewer, a finite number of their kind or 0 in the place of others) and up to `units`
 * units: their dots, and a bias (or NULL) that is added last. */
ALWAYS_INLINE void dot_rows(real *z, size_t stride, const dot_operands *d, const real *bias, const size_t units) {
    const size_t rows = DOT_SUMS / units < DOT_ROWS ? DOT_SUMS / units : DOT_ROWS;
    vec halves[DOT_UNITS][LANES];
    if (units == 1) {
        UNROLL(4) /* registers hold them all */
        for (size_t r = 0; r < LANES; r += rows) {
            dot_group(halves, d, r, rows, units);
        }
    } else {
        for (size_t r = 0; r < LANES; r += rows) {
            dot_group(halves, d, r, rows, units);
        }
    }
    for (size_t u = 0; u < units && u < d->units; u++) {
        vec sum = v_totals(halves[u]);
        v_store(z + u * stride, bias == NULL ? sum : v_add(sum, v_set1(bias[u])));
    }
}

/* Whole groups of rows by themselves, compiled without the last one's conditions. */
#define DOTS(name, most)                                                                           \
    static NOT_INLINE void name(real *z, size_t stride, const dot_operands *d, const real *bias) { \
        dot_operands whole = *d;                                                                   \
        whole.rows = LANES;                                                                        \
        dot_rows(z, stride, &whole, bias, most < DOT_UNITS ? most : DOT_UNITS);                    \
    }
DOTS(dots_1, 1)
DOTS(dots_2, 2)
DOTS(dots_4, 4)
#undef DOTS

static NOT_INLINE void dots_of_last(real *z, size_t stride, const dot_operands *d, const real *bias) {
    dot_rows(z, stride, d, bias, 1);
}

/* The same of a single row and unit. */
static void dot_single(real *z, const dot_operands *d, const real *bias) {
    vec halves[DOT_UNITS][LANES];
    real lanes[LANES];
    dot_halves(halves, 0, d, 0, 1, 1);
    v_store(lanes, halves[0][0]);
    for (size_t v = 0; v < WIDE; v += LANES) {
        v_store(z + v, v_zero());
    }
    *z = bias == NULL ? add_up(lanes, LANES) : add_up(lanes, LANES) + *bias;
}

/* z (units, stride), to whole virtual vectors. */
static void dots_forward(void *z, size_t stride, const void *a, size_t ld, const void *w, size_t ldw, const void *bias,
                         size_t rows, size_t n, size_t units, size_t ahead) {
    dot_operands d = {.a = a, .w = w, .ld = ld, .ldw = ldw, .rows = rows, .units = units, .n = n, .ahead = ahead};
    for (size_t k = 0; k < units && rows == 1; k++) {
        d.w = (const real *)w + k * ldw;
        dot_single((real *)z + k * stride, &d, bias == NULL ? NULL : (const real *)bias + k);
    }
    for (size_t i = 0; rows > 1 && (i < rows || i % WIDE != 0); i += LANES) {
        d.rows = i < rows ? rows - i : 0;
        d.a = d.rows > 0 ? (const real *)a + i * ld : NULL;
        for (size_t k = 0, some; k < units; k += some) {
            real *to = (real *)z + k * stride + i;
            const real *b = bias == NULL ? NULL : (const real *)bias + k;
            d.w = (const real *)w + k * ldw;
            d.units = units - k;
            some = 1;
            if (d.rows < LANES) {
                dots_of_last(to, stride, &d, b);
            } else if (DOT_UNITS > 2 && d.units > 2) {
                dots_4(to, stride, &d, b);
                some = 4;
            } else if (DOT_UNITS > 1 && d.units > 1) {
                dots_2(to, stride, &d, b);
                some = 2;
            } else {
                dots_1(to, stride, &d, b);
            }
        }
    }
}

ALWAYS_INLINE void gradient_columns(real *dw, const real *a, size_t ld, const real *dz, size_t rows, size_t n,
                                    bool accumulate, size_t ahead, const int vectors) {
    vec sum[4];
    for (int j = 0; j < vectors; j++) {
        size_t at = (size_t)j * LANES;
        sum[j] = accumulate ? v_load_n(dw + at, n - at) : v_zero();
    }
    for (size_t i = 0; i < rows; i++, a += ld) {
        vec delta = v_set1(dz[i]);
        UNKNOWN_STRIDE(ahead);
        UNROLL(4)
        for (int j = 0; j < vectors; j++) {
            size_t at = (size_t)j * LANES;
            if (ahead > 0 && i % 2 == 0 && at * sizeof(real) % MLP_VECTOR_BYTES == 0) {
                __builtin_prefetch(a + at + ahead, 0, 2);
            }
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
                            bool accumulate, size_t ahead) {
    if (db != NULL) {
        sum_deltas(db, dz, rows, accumulate);
    }
#define PASS(vectors) \
    gradient_columns((real *)dw + j, (const real *)a + j, ld, dz, rows, n - j, accumulate, ahead, vectors)
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
