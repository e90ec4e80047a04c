/* lanes.c: layers of a few units, samples in the lanes: a layer's three products. */
#include "pass.h"

void mlp_forward_in_lanes(const mlp_pass *pass, size_t l, void *z, size_t activation) {
    const mlp_network *net = pass->net;
    const mlp_layer *layer = &net->layers[l];
    size_t ld, stride = pass->stride;
    const void *w = mlp_at(net, pass->parameters, layer->weights);
    const void *b = net->bias ? mlp_at(net, pass->parameters, layer->biases) : NULL;
    net->kernels->lanes_forward(z, mlp_layer_input(pass, l, &ld), w, b, layer->n_in, layer->n_out, stride);
    if (activation != MLP_ACT_identity) {
        net->kernels->forward[activation](z, pass->d[l], NULL, layer->n_out, stride, stride);
    }
}

void mlp_back_in_lanes(const mlp_pass *pass, size_t l, const void *dz, void *da, bool through) {
    const mlp_network *net = pass->net;
    const mlp_layer *layer = &net->layers[l];
    size_t stride = pass->stride, activation = net->layers[l - 1].activation;
    const void *w = mlp_at(net, pass->parameters, layer->weights), *slopes = mlp_slope_of(pass, l - 1);
    if (through && layer->n_out == 1) { /* dA by rows: each w times dz */
        net->kernels->backward[activation](da, slopes, w, dz, layer->n_in, stride, stride);
        return;
    }
    net->kernels->lanes_backward(da, dz, w, layer->n_in, layer->n_out, stride);
    if (through) {
        net->kernels->backward[activation](da, slopes, NULL, NULL, layer->n_in, stride, stride);
    }
}

void mlp_gradient_in_lanes(const mlp_pass *pass, size_t l, const void *dz, bool accumulate) {
    const mlp_network *net = pass->net;
    const mlp_layer *layer = &net->layers[l];
    size_t ld;
    char *sums = (char *)pass->sums + layer->weights * MLP_VECTOR_BYTES; /* they are laid out like the parameters */
    net->kernels->lanes_gradient(sums, mlp_layer_input(pass, l, &ld), dz, layer->n_in, layer->n_out, pass->stride,
                                 net->bias, accumulate);
}
