/* dropout.h: the factors of dropout, drawn by counting. */

/* The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): a bijection whose output bits all depend on all input
 * bits. */
static inline uint64_t mix_bits(uint64_t x) {
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* 32 bits for a unit of a sample: Wellons's finaliser ("hash prospector", 2018), which vectors of units or of samples
 * have instructions for, with half of the sample's 64 bits before it and half within. */
static inline uint32_t drop_bits(uint64_t sample, uint32_t unit) {
    uint32_t x = unit * UINT32_C(0x9e3779b9) + (uint32_t)sample;
    x = ((x ^ (x >> 16)) * UINT32_C(0x7feb352d)) ^ (uint32_t)(sample >> 32);
    x = (x ^ (x >> 15)) * UINT32_C(0x846ca68b);
    return x ^ (x >> 16);
}

/* factors = 0 where the bits are less than the threshold, else `kept`; out = a factors. */
ALWAYS_INLINE void drop_some(real *factors, real *out, const real *a, const uint32_t *bits, uint32_t threshold,
                             real kept) {
    UNROLL(1) /* by vectors */
    for (size_t lane = 0; lane < WIDE; lane++) {
        factors[lane] = bits[lane] < threshold ? 0 : kept;
        out[lane] = a[lane] * factors[lane];
    }
}

/* Inverted dropout: its factors are 1 / (1 - rate), or 0 with probability rate; a function of the key, the sample's
 * place in the batch and the unit alone, in either layout. The key already holds the network's draw, the step and the
 * layer. */
static void dropout(void *factors, void *out, const void *a, uint64_t key, size_t first_place, double rate, size_t rows,
                    size_t n, size_t ld, bool lanes) {
    const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);
    const uint32_t threshold = (uint32_t)(rate * 4294967296.0);
    const real kept = (real)(1.0 / (1.0 - rate));
    uint64_t samples[WIDE];
    uint32_t bits[WIDE];
    for (size_t j = 0; lanes && j < n; j += WIDE) {
        UNROLL(1) /* by vectors */
        for (size_t lane = 0; lane < WIDE; lane++) {
            samples[lane] = mix_bits(key + (uint64_t)(first_place + j + lane) * odd);
        }
        for (size_t i = 0, at = j; i < rows; i++, at += ld) {
            UNROLL(1) /* by vectors */
            for (size_t lane = 0; lane < WIDE; lane++) {
                bits[lane] = drop_bits(samples[lane], (uint32_t)i);
            }
            drop_some((real *)factors + at, (real *)out + at, (const real *)a + at, bits, threshold, kept);
        }
    }
    for (size_t i = 0; !lanes && i < rows; i++) {
        uint64_t sample = mix_bits(key + (uint64_t)(first_place + i) * odd);
        for (size_t j = 0; j < n; j += WIDE) {
            size_t at = i * ld + j;
            UNROLL(1) /* by vectors */
            for (size_t lane = 0; lane < WIDE; lane++) {
                bits[lane] = drop_bits(sample, (uint32_t)(j + lane));
            }
            drop_some((real *)factors + at, (real *)out + at, (const real *)a + at, bits, threshold, kept);
        }
    }
}
