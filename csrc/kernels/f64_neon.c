/* The kernels of double on neon. */
#define KERNELS_NAME "neon"
#define VECTOR_HEADER "vector_neon.h"
#define TABLE mlp_kernels_f64_neon
#define REAL_IS_DOUBLE 1
#include "table.h"
