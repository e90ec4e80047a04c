/* online.c: an epoch of plain gradient descent through layers of a few units, one sample at a time: the general way
 * takes ten times as long to prepare such a step as to compute it. Same steps, same bits. */
#include "training.h"

#include <stdlib.h>

enum { SLICE = 512 }; /* samples between two looks at the caller, at most */

bool mlp_is_online(const mlp_network *net, const mlp_data *data, const mlp_fit_settings *settings, size_t batch) {
    const mlp_optimizer *o = &net->optimizer;
    const mlp_schedule *schedule = settings->schedule;
    bool by_steps = schedule != NULL && (schedule->kind == MLP_COSINE_DECAY || schedule->kind == MLP_ONE_CYCLE);
    bool plain = strcmp(o->rule, "sgd") == 0 && o->momentum == 0 && o->clip_norm == 0 && net->l1 == 0 && net->l2 == 0 &&
                 !mlp_has_dropout(net);
    return batch == 1 && plain && !mlp_is_weighted(data) && !by_steps && !settings->as_sklearn && mlp_is_narrow(net);
}

/* The weights in rows of their own, and what the kernel writes on the way. */
typedef struct {
    const mlp_network *net;
    mlp_online online;
    mlp_sample_room room; /* for SLICE of them */
} scratch;

static void cut_scratch(scratch *s, mlp_cutter *c) {
    const mlp_network *net = s->net;
    mlp_online *online = &s->online;
    size_t item = net->item, row = MLP_ONLINE_ROW * item, outputs = mlp_outputs(net);
    online->layers = mlp_cut(c, net->n_layers * sizeof(mlp_online_layer));
    for (size_t l = 1; l <= net->n_layers; l++) {
        const mlp_layer *layer = &net->layers[l];
        online->widest = mlp_max(layer->n_out, online->widest);
        mlp_online_layer made = {.n_in = layer->n_in, .n_out = layer->n_out, .activation = layer->activation};
        made.w = mlp_cut(c, layer->n_in * row);
        made.transposed = l > 1 ? mlp_cut(c, layer->n_out * row) : NULL;
        made.b = net->bias ? mlp_cut(c, row) : NULL;
        made.a = mlp_cut(c, row);
        made.d = l < net->n_layers ? mlp_cut(c, row) : NULL;
        if (c->at != NULL) {
            online->layers[l - 1] = made;
        }
    }
    online->dz = mlp_cut(c, row);
    online->scale = mlp_cut(c, MLP_VECTOR_BYTES);
    online->lanes = mlp_cut(c, 4 * outputs * MLP_VECTOR_BYTES);
    s->room = (mlp_sample_room){.x = mlp_cut(c, SLICE * mlp_inputs(net) * item),
                                .y = mlp_cut(c, SLICE * outputs * item),
                                .labels = mlp_cut(c, SLICE * sizeof(double)),
                                .cells = mlp_cut(c, mlp_inputs(net) * sizeof(double))};
}

static void move_row(const mlp_network *net, void *row, size_t at, size_t n, bool back) {
    void *block = mlp_at(net, net->parameters, at);
    memcpy(back ? block : row, back ? row : block, n * net->item);
}

/* Weights and biases from the parameter block into rows, or back. */
static void move_parameters(const scratch *s, bool back) {
    const mlp_network *net = s->net;
    for (size_t l = 1; l <= net->n_layers; l++) {
        const mlp_layer *from = &net->layers[l];
        const mlp_online_layer *layer = &s->online.layers[l - 1];
        for (size_t i = 0; i < from->n_in; i++) {
            move_row(net, mlp_at(net, layer->w, i * MLP_ONLINE_ROW), from->weights + i * from->n_out, from->n_out,
                     back);
        }
        if (net->bias) {
            move_row(net, layer->b, from->biases, from->n_out, back);
        }
        if (l > 1 && !back) {
            net->kernels->transpose(layer->transposed, MLP_ONLINE_ROW, layer->w, MLP_ONLINE_ROW, from->n_in,
                                    from->n_out);
        }
    }
}

/* The epoch's steps, and their losses added up. Fewer steps than rows with MLP_OK: the next one's loss is not
 * finite. */
mlp_status mlp_run_online(mlp_network *net, const mlp_data *data, const int64_t *order, double rate, size_t *steps,
                          double *loss, mlp_call *call) {
    scratch s = {.net = net,
                 .online = {.n_layers = net->n_layers,
                            .loss = net->loss,
                            .output = net->layers[net->n_layers].activation,
                            .of_output = net->loss_kind == OF_DIFFERENCE,
                            .of_one = mlp_outputs(net) == 1 && net->loss_kind != OF_LOGITS,
                            .loss_parameters = net->loss_parameters,
                            .rate = rate}};
    mlp_cutter measure = {0};
    cut_scratch(&s, &measure);
    void *memory = mlp_allocate(measure.used, 1);
    if (memory == NULL) {
        return MLP_NO_MEMORY;
    }
    cut_scratch(&s, &(mlp_cutter){.at = memory, .bytes = measure.used});
    move_parameters(&s, false);
    net->kernels->fill(s.online.scale, 1.0, MLP_VECTOR_BYTES / net->item);
    const mlp_kernels *kernels = mlp_kernels_for(net->kernels, s.online.widest);
    size_t n_rows = data->x.n_rows;
    double work = MLP_SAMPLE_WORK + mlp_work(net, 1, true);
    bool shallow = work * (double)SLICE < MLP_POLL_WORK; /* the caller of a deep network should not wait either */
    size_t slice = shallow ? SLICE : 1;
    mlp_status status = MLP_OK;
    for (size_t n = 0, made = 0; status == MLP_OK && made == n && *steps < n_rows; *steps += made) {
        n = mlp_min(n_rows - *steps, slice);
        mlp_samples read;
        status = mlp_read_samples(net, data, order, *steps, n, &s.room, &read, call);
        made = status == MLP_OK ? kernels->online(&s.online, loss, read.x, read.ldx, read.y, read.ldy, n) : 0;
        if (status == MLP_OK && mlp_pause(call, work * (double)made)) {
            status = MLP_INTERRUPTED;
        }
    }
    move_parameters(&s, true);
    free(memory);
    return status;
}
