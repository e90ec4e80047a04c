/* network.h: what the programs here do alike with a network. */
#ifndef NETWORK_H
#define NETWORK_H

#include "mlp.h"

/* The network's dtype is not to be asked for: who made it knows. */
static inline void set_parameter(mlp_network *net, mlp_dtype dtype, size_t i, double value) {
    if (dtype == MLP_F64) {
        ((double *)mlp_parameters(net))[i] = value;
    } else {
        ((float *)mlp_parameters(net))[i] = (float)value;
    }
}

#endif
