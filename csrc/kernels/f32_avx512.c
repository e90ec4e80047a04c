/* The kernels of float on avx512. */
#define KERNELS_NAME "avx512"
#define VECTOR_HEADER "vector_avx512.h"
#define TABLE mlp_kernels_f32_avx512
#define REAL_IS_DOUBLE 0
#include "table.h"
