/* calls.c: what surrounds a call of the core: the GIL, signals, and the exception that a status becomes. */
#include "wrapper.h"

#include <time.h>

/* About 20 us of arithmetic: for less, releasing and taking the GIL costs more than it gives to others. */
#define LONG_WORK 1e6
#define POLL_INTERVAL 25000000 /* ns */

bool ready(const network_object *self) {
    if (self->net != NULL) return true;
    PyErr_Format(PyExc_RuntimeError, "%s.__init__ was not called, or failed", Py_TYPE(self)->tp_name);
    return false;
}

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int poll_signals(void *context) {
    call *c = context;
    if (now() < c->next_poll) return 0;
    take_gil(c);
    size_t before = mlp_forks();
    bool stop = PyErr_CheckSignals() != 0;
    if (!stop && c->core.pool != NULL && before != mlp_forks()) {
        PyErr_SetString(PyExc_RuntimeError, "a signal handler forked this process during a call that threads share: "
                                            "here those threads are gone; the parent's call goes on");
        stop = true;
    }
    give_gil(c, true);
    c->next_poll = now() + POLL_INTERVAL;
    c->polled = true;
    return stop;
}

bool is_long(double work) { return work >= LONG_WORK; }

void begin_call(call *c, const network_object *self, double work, size_t n_threads) {
    module_state *state = self->state;
    *c = (call){.core = {.shelf = &state->shelf}};
    if (!is_long(work)) return;
    c->core.n_threads = n_threads != 0 ? n_threads : self->n_threads != 0 ? self->n_threads : state->n_threads;
    if (c->core.n_threads > 1) c->core.pool = get_pool(state);
    if (c->core.pool != NULL) {
        c->state = state;
        state->pool_users++;
    }
    c->core.poll = poll_signals;
    c->core.context = c;
    c->next_poll = now() + POLL_INTERVAL;
    give_gil(c, true);
}

void end_call(call *c) {
    take_gil(c);
    /* In a child forked meanwhile the state may have a pool of its own, which this call was never counted for. */
    if (c->state != NULL && c->state->pool == c->core.pool) c->state->pool_users--;
}

bool take_gil(call *c) {
    if (c->waiting == NULL) return false;
    if (c->core.pool != NULL) mlp_pool_leave(c->core.pool);
    PyEval_RestoreThread(c->waiting);
    c->waiting = NULL;
    return true;
}

void give_gil(call *c, bool released) {
    if (!released) return;
    c->waiting = PyEval_SaveThread();
    if (c->core.pool != NULL) mlp_pool_enter(c->core.pool);
}

/* ValueError "y[5] is 7: it must be REASON". */
static void raise_element(const operand *x, const mlp_call *core) {
    PyObject *element = describe_element(x, core->row, core->column);
    if (element != NULL) PyErr_Format(PyExc_ValueError, "%U: it must be %s", element, core->reason);
    Py_XDECREF(element);
}

PyObject *raise_status(mlp_status status, const call *c, const operands *data, const operands *validation) {
    if (PyErr_Occurred() != NULL) return NULL; /* what stopped it, though a worker has a complaint of its own */
    if (c->core.validation) data = validation;
    switch (status) {
    case MLP_OK: break;
    case MLP_NO_MEMORY: PyErr_NoMemory(); break;
    case MLP_INTERRUPTED: break; /* the exception that stopped it is set */
    case MLP_BAD_OUTPUT:
        PyErr_Format(PyExc_ValueError, "X[%zu] has outputs that are nan, which is no label: see X and the parameters",
                     c->core.row);
        break;
    case MLP_BAD_X: raise_element(&data->x, &c->core); break;
    case MLP_BAD_Y: raise_element(&data->y, &c->core); break;
    case MLP_BAD_WEIGHT: {
        bool given = data->weight.array != NULL, of_both = given && data->class_weight != NULL;
        operand product = {.name = of_both ? "sample_weight times class_weight" : "class_weight"}; /* it has no rows */
        raise_element(given && !(of_both && c->core.row == SIZE_MAX) ? &data->weight : &product, &c->core);
        break;
    }
    }
    return NULL;
}
