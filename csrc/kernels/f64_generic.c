/* The kernels of double on generic. */
#define KERNELS_NAME "generic"
#define VECTOR_HEADER "vector_generic.h"
#define TABLE mlp_kernels_f64_generic
#define REAL_IS_DOUBLE 1
#include "table.h"
