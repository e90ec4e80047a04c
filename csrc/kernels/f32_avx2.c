/* The kernels of float on avx2. */
#define KERNELS_NAME "avx2"
#define VECTOR_HEADER "vector_avx2.h"
#define TABLE mlp_kernels_f32_avx2
#define REAL_IS_DOUBLE 0
#include "table.h"
