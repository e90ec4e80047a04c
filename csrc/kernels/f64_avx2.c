/* The kernels of double on avx2. */
#define KERNELS_NAME "avx2"
#define VECTOR_HEADER "vector_avx2.h"
#define TABLE mlp_kernels_f64_avx2
#define REAL_IS_DOUBLE 1
#include "table.h"
