/* The kernels of float on neon. */
#define KERNELS_NAME "neon"
#define VECTOR_HEADER "vector_neon.h"
#define TABLE mlp_kernels_f32_neon
#define REAL_IS_DOUBLE 0
#include "table.h"
