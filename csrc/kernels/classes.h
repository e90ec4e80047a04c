/* classes.h: the softmax of many classes, and its cross-entropy with labels, of rows as they are: in lanes layout they
 * would be turned there and back, and few samples leave most lanes empty. A sample's sum runs over its classes in one
 * virtual vector, class k in lane k mod WIDE, and is added up by its tree. The formulas are those of loss.h. */

ALWAYS_INLINE real largest_lane(real *lanes) {
    UNROLL(4)
    for (size_t half = LANES / 2; half > 0; half /= 2) {
        for (size_t lane = 0; lane < half; lane++) {
            lanes[lane] = lanes[lane] > lanes[lane + half] ? lanes[lane] : lanes[lane + half];
        }
    }
    return lanes[0];
}

/* e (n,) = exp(z - largest), zeros from there to a whole vector; e may be z. What there is in their sum beside the 1 of
 * the largest. n is a virtual vector at least. */
static NOT_INLINE real row_others(real *e, const real *z, size_t n, real *largest) {
    real lanes[LANES], counted[LANES];
    vec top = v_load(z + n - LANES), one = v_set1(1), ones = v_zero(), smaller[WIDE_VECTORS];
    for (size_t k = 0; k + LANES <= n; k += LANES) {
        top = v_max(top, v_load(z + k));
    }
    v_store(lanes, top);
    *largest = largest_lane(lanes);
    top = v_set1(*largest);
    for (size_t v = 0; v < WIDE_VECTORS; v++) {
        smaller[v] = v_zero();
    }
    for (size_t k = 0; k < n; k += WIDE) {
        for (size_t v = 0; v < WIDE_VECTORS && k + v * LANES < n; v++) {
            size_t at = k + v * LANES;
            vec power = f_decay(v_sub(v_load_n(z + at, n - at), top));
            if (at + LANES > n) {
                v_store(lanes, power);
                power = v_load_n(lanes, n - at);
            }
            v_store(e + at, power);
            mask is_one = v_eq(power, one);
            ones = v_add(ones, v_select(is_one, one, v_zero()));
            smaller[v] = v_add(smaller[v], v_clear(is_one, power));
        }
    }
    v_store(counted, ones); /* whole numbers: in any order */
    v_store(lanes, add_halves(smaller));
    return add_up(counted, LANES) - 1 + add_up(lanes, LANES);
}

static void softmax_rows(void *outputs, size_t rows, size_t n, size_t ld) {
    real *a = outputs, largest;
    for (size_t i = 0; i < rows; i++, a += ld) {
        vec sum = v_add(v_set1(1), v_set1(row_others(a, a, n, &largest)));
        for EACH_VECTOR (k, n) {
            v_store(a + k, v_div(v_load(a + k), sum));
        }
    }
}

/* -log softmax(z)_label; derivative by z: a, less 1 at the label. */
static void class_rows(double *losses, void *derivative, void *logits, const double *labels, const void *scales,
                       size_t rows, size_t n, size_t ld) {
    real *z = logits, *dz = derivative == NULL ? z : derivative;
    const real *scale = scales;
    for (size_t i = 0; i < rows; i += LANES, z += LANES * ld, dz += LANES * ld) {
        size_t some = rows - i < LANES ? rows - i : LANES;
        real others[LANES] = {0}, surprise[LANES] = {0}, logs[LANES];
        for (size_t r = 0; r < some; r++) {
            real largest, its = z[r * ld + (size_t)labels[i + r]];
            others[r] = row_others(dz + r * ld, z + r * ld, n, &largest);
            surprise[r] = its - largest;
        }
        v_store(logs, v_sub(log_of_sum_with(v_load(others)), v_load(surprise)));
        for (size_t r = 0; r < some; r++) {
            losses[i + r] = (double)logs[r];
        }
        for (size_t r = 0; r < some && derivative != NULL; r++) {
            real *row = dz + r * ld, *at = row + (size_t)labels[i + r], its_e = *at;
            vec one = v_set1(1), rest = v_set1(others[r]), sum = v_add(one, rest), factor = v_set1(scale[i + r]);
            for EACH_VECTOR (k, n) {
                v_store(row + k, scaled(v_div(v_load(row + k), sum), factor));
            }
            bool outweighs = its_e == 1 && others[r] < 1; /* then a - 1 would lose what it is */
            vec slope = outweighs ? v_neg(v_div(rest, sum)) : v_sub(v_div(v_set1(its_e), sum), one);
            real slopes[LANES];
            v_store(slopes, scaled(slope, factor));
            *at = slopes[0];
        }
    }
}
