/* The kernels of float on generic. */
#define KERNELS_NAME "generic"
#define VECTOR_HEADER "vector_generic.h"
#define TABLE mlp_kernels_f32_generic
#define REAL_IS_DOUBLE 0
#include "table.h"
