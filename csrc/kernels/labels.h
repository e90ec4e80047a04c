/* labels.h: from probabilities to labels, -1 where one is NaN. Each tells whether there is any. */

/* The first `some` lanes as labels, `step` apart. */
static NOT_INLINE bool store_labels(int64_t *labels, size_t step, vec found, size_t some) {
    real lanes[LANES];
    bool any = false;
    v_store(lanes, found);
    for (size_t i = 0; i < LANES && i < some; i++, labels += step) {
        *labels = (int64_t)lanes[i];
        any |= lanes[i] < 0;
        UNKNOWN_STRIDE(labels); /* vectors would take four times the room, and be no faster */
    }
    return any;
}

/* The first largest of n_outputs by sample, lanes layout. */
static bool class_labels(int64_t *labels, const void *outputs, size_t n_outputs, size_t n, size_t stride) {
    bool any = false;
    for (size_t s = 0; s < n; s += LANES) {
        const real *p = (const real *)outputs + s;
        vec top = v_load(p), largest = v_zero(), sum = top; /* NaN if one of them is */
        for (size_t k = 1; k < n_outputs; k++) {
            vec next = v_load(p + k * stride);
            mask larger = v_lt(top, next);
            top = v_select(larger, next, top);
            largest = v_select(larger, v_set1((real)k), largest);
            sum = v_add(sum, next);
        }
        any |= store_labels(labels + s, 1, v_select(v_eq(sum, sum), largest, v_set1(-1)), n - s);
    }
    return any;
}

/* A whole number in the bits of a real, for what is only selected and stored: as a real it might be rounded. */
typedef union {
    real value;
#if REAL_IS_DOUBLE
    uint64_t number;
#else
    uint32_t number;
#endif
} number_as_real;

/* The same by row, of a virtual vector of classes at least: each lane finds its first largest, and in which vector. */
static bool class_labels_of_rows(int64_t *labels, const void *outputs, size_t rows, size_t n, size_t ld) {
    const real *p = outputs;
    bool any = false;
    for (size_t i = 0; i < rows; i++, p += ld) {
        vec top = v_load(p), where = v_zero(), sum = top;
        number_as_real k = {.number = 1};
        for (size_t at = LANES; at < n; at += LANES, k.number++) { /* zeros past the last one are never larger */
            vec next = v_load_n(p + at, n - at);
            mask larger = v_lt(top, next);
            top = v_select(larger, next, top);
            where = v_select(larger, v_set1(k.value), where);
            sum = v_add(sum, next);
        }
        real tops[LANES];
        number_as_real vectors[LANES];
        v_store(tops, top);
        v_store(&vectors[0].value, where);
        size_t best = 0;
        UNROLL(1)
        for (size_t lane = 1; lane < LANES; lane++) {
            bool earlier = tops[lane] == tops[best] && vectors[lane].number < vectors[best].number;
            best = tops[lane] > tops[best] || earlier ? lane : best;
        }
        bool nan = !v_all_finite(sum);
        labels[i] = nan ? -1 : (int64_t)vectors[best].number * LANES + (int64_t)best;
        any |= nan;
    }
    return any;
}

/* labels (n, n_outputs): whether an output, lanes layout, reaches its threshold. */
static bool threshold_labels(int64_t *labels, const void *outputs, const double *thresholds, size_t n_outputs, size_t n,
                             size_t stride) {
    bool any = false;
    for (size_t k = 0; k < n_outputs; k++) {
        const real *row = (const real *)outputs + k * stride;
        real least = (real)thresholds[k]; /* of those that reach it, unless it was rounded down */
        vec bound = v_set1((double)least < thresholds[k] ? (real)nextafterf((float)least, 2) : least);
        for (size_t s = 0; s < n; s += LANES) {
            vec p = v_load(row + s), reached = v_select(v_ge(p, bound), v_set1(1), v_zero());
            any |=
                store_labels(labels + s * n_outputs + k, n_outputs, v_select(v_eq(p, p), reached, v_set1(-1)), n - s);
        }
    }
    return any;
}
