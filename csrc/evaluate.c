/* evaluate.c: the objective and its gradients at a point, and the records of a backward pass: nothing changes. */
#include "pass.h"

#include <stdlib.h>

double mlp_penalty_factor(const mlp_network *net, const mlp_sums *sums) {
    return net->penalty_in_mean ? mlp_per_weight(sums->weight) : 1.0;
}

double mlp_penalty(const mlp_network *net, const mlp_sums *sums, const void *parameters) {
    double first = 0, second = 0;
    for (size_t l = 1; l <= net->n_layers && (net->l1 > 0 || net->l2 > 0); l++) {
        const mlp_layer *layer = &net->layers[l];
        const void *w = mlp_at(net, parameters, layer->weights);
        first += net->l1 > 0 ? net->kernels->sum_abs(w, layer->n_in * layer->n_out) : 0.0;
        second += net->l2 > 0 ? net->kernels->sum_squares(w, layer->n_in * layer->n_out) : 0.0;
    }
    return (net->l1 * first + 0.5 * net->l2 * second) * mlp_penalty_factor(net, sums);
}

void mlp_add_penalty_gradient(const mlp_network *net, const mlp_sums *sums, const void *parameters, void *gradient) {
    double factor = mlp_penalty_factor(net, sums);
    for (size_t l = 1; l <= net->n_layers && (net->l1 > 0 || net->l2 > 0); l++) {
        const mlp_layer *layer = &net->layers[l];
        net->kernels->add_penalty(mlp_at(net, gradient, layer->weights), mlp_at(net, parameters, layer->weights),
                                  factor * net->l1, factor * net->l2, layer->n_in * layer->n_out);
    }
}

double mlp_data_term(const mlp_network *net, const mlp_sums *sums) {
    return net->sum ? sums->loss : mlp_per_weight(sums->weight) > 0 ? sums->loss / sums->weight : 0.0;
}

mlp_status mlp_evaluate(const mlp_network *network, const mlp_wanted *wanted, const void *parameters,
                        const mlp_data *data, mlp_call *call) {
    mlp_status status = mlp_check_data(network, data, call);
    if (status != MLP_OK) {
        return status;
    }
    bool derivative = wanted->gradient != NULL || wanted->input_gradient != NULL;
    mlp_crew *crew = mlp_crew_create(network, data->x.n_rows, derivative ? DIFFERENTIATES : EVALUATES, call, NULL);
    if (crew == NULL) {
        return MLP_NO_MEMORY;
    }
    parameters = parameters != NULL ? parameters : network->parameters;
    mlp_crew_evaluate_at(crew, parameters);
    mlp_batch batch = {.data = data, .n = data->x.n_rows};
    mlp_outputs_wanted outputs = {
        .gradient = wanted->gradient, .input_gradient = wanted->input_gradient, .sample_losses = wanted->sample_losses};
    mlp_sums sums;
    status = mlp_run_batch(crew, &batch, &outputs, &sums);
    if (status == MLP_OK && wanted->objective != NULL) {
        *wanted->objective = mlp_data_term(network, &sums) + mlp_penalty(network, &sums, parameters);
    }
    if (status == MLP_OK && wanted->gradient != NULL) {
        mlp_add_penalty_gradient(network, &sums, parameters, wanted->gradient);
    }
    mlp_crew_destroy(crew);
    return status;
}

/* dW and db of each layer from the gradient. */
static void split_gradient(const mlp_network *net, const mlp_record *records, const void *gradient, size_t n_rows) {
    for (size_t l = 1; l <= net->n_layers; l++) {
        const mlp_layer *layer = &net->layers[l];
        const mlp_record *record = &records[l - 1];
        memcpy(record->dw, mlp_at(net, gradient, layer->weights), layer->n_in * layer->n_out * net->item);
        if (net->bias) {
            memcpy(record->db, mlp_at(net, gradient, layer->biases), layer->n_out * net->item);
            continue;
        }
        memset(record->db, 0, layer->n_out * net->item);
        for (size_t i = 0; i < n_rows; i++) {
            net->kernels->add(record->db, mlp_at(net, record->dz, i * layer->n_out), layer->n_out);
        }
    }
}

mlp_status mlp_backpropagate(const mlp_network *network, const mlp_record *records, const mlp_data *data,
                             mlp_call *call) {
    mlp_status status = mlp_check_data(network, data, call);
    if (status != MLP_OK) {
        return status;
    }
    mlp_crew *crew = mlp_crew_create(network, data->x.n_rows, DIFFERENTIATES, call, NULL);
    void *gradient = mlp_reserve(network->n_parameters, network->item);
    status = crew == NULL || gradient == NULL ? MLP_NO_MEMORY : MLP_OK;
    if (status == MLP_OK) {
        mlp_batch batch = {.data = data, .n = data->x.n_rows};
        mlp_outputs_wanted outputs = {.gradient = gradient, .records = records};
        mlp_sums sums;
        status = mlp_run_batch(crew, &batch, &outputs, &sums);
    }
    if (status == MLP_OK) {
        split_gradient(network, records, gradient, data->x.n_rows);
    }
    mlp_crew_destroy(crew);
    free(gradient);
    return status;
}
