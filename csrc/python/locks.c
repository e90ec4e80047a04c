/* locks.c: who may read or change a network: in the core, and in the whole of it. */
#include "wrapper.h"

/* ---- Readers and a writer */

/* The number of this thread, which no other ever has: after a fork the system gives a new one what a lost one had. */
static uint64_t this_thread(void) {
    static _Thread_local uint64_t number;
    static uint64_t numbers; /* the GIL is held */
    if (number == 0) number = ++numbers;
    return number;
}

static bool is_writer(const rw_lock *l) { return l->writing && l->writer == this_thread(); }

/* A forked child has the count of readers, but not their threads. */
static void forget_lost_readers(rw_lock *l) {
    if (l->forks != mlp_forks()) {
        l->forks = mlp_forks();
        l->readers = 0;
    }
}

static void raise_in_use(const rw_lock *l, const char *method) {
    if (l->writing && l->writer_forks != mlp_forks()) {
        PyErr_Format(PyExc_RuntimeError,
                     "%s: this network was being changed by another thread when this process was forked; use a copy "
                     "made before, or load it",
                     method);
        return;
    }
    PyErr_Format(PyExc_RuntimeError,
                 "%s: this network is being %s by another call; wait for that to end, or use a copy made before",
                 method, l->writing ? "changed" : "read");
}

/* own: the writer itself asks, within a callback. */
static bool begin_read(rw_lock *l, bool own, const char *method) {
    forget_lost_readers(l);
    if (l->writing && !own) {
        raise_in_use(l, method);
        return false;
    }
    l->readers++;
    return true;
}

static void end_read(rw_lock *l) {
    if (l->readers > 0) l->readers--; /* none where a signal's handler has forked meanwhile */
}

static bool begin_write(rw_lock *l, bool own, const char *method) {
    forget_lost_readers(l);
    if (own) {
        PyErr_Format(PyExc_RuntimeError, "%s: not within a callback of this network's own training", method);
        return false;
    }
    if (l->writing || l->readers > 0) {
        raise_in_use(l, method);
        return false;
    }
    l->writing = true;
    l->writer_forks = mlp_forks();
    l->writer = this_thread();
    return true;
}

static void end_write(rw_lock *l) { l->writing = false; }

bool in_own_callback(const network_object *self) { return self->in_callback && is_writer(&self->core); }

bool lock_read(network_object *self, const char *method) {
    return begin_read(&self->core, in_own_callback(self), method);
}

void unlock_read(network_object *self) { end_read(&self->core); }

bool lock_write(network_object *self, const char *method) {
    return begin_write(&self->core, in_own_callback(self), method);
}

void unlock_write(network_object *self) { end_write(&self->core); }

/* ---- What holds the whole of a network for a `with` statement of Python's: its methods are entered and left between
 * two looks at signals, so that Ctrl-C leaves none held. Networks do not refer to one: it is in no cycle. */
typedef struct {
    PyObject_HEAD network_object *network;
    PyObject *method; /* that asks: a str */
    bool reads;
} hold_object;

static PyObject *new_hold(network_object *network, PyObject *method, bool reads) {
    if (PyUnicode_AsUTF8(method) == NULL) return NULL;
    hold_object *self = PyObject_New(hold_object, network->state->hold_type);
    if (self == NULL) return NULL;
    self->network = (network_object *)Py_NewRef(network);
    self->method = Py_NewRef(method);
    self->reads = reads;
    return (PyObject *)self;
}

PyObject *network_as_writer(network_object *self, PyObject *method) { return new_hold(self, method, false); }

PyObject *network_as_reader(network_object *self, PyObject *method) { return new_hold(self, method, true); }

static PyObject *hold_enter(hold_object *self, PyObject *Py_UNUSED(ignored)) {
    rw_lock *whole = &self->network->whole;
    const char *method = PyUnicode_AsUTF8(self->method);
    bool own = is_writer(whole), held = self->reads ? begin_read(whole, own, method) : begin_write(whole, own, method);
    return held ? Py_NewRef(Py_None) : NULL;
}

static PyObject *hold_exit(hold_object *self, PyObject *Py_UNUSED(exception)) {
    if (self->reads) {
        end_read(&self->network->whole);
    } else {
        end_write(&self->network->whole);
    }
    Py_RETURN_NONE;
}

static void hold_dealloc(hold_object *self) {
    PyTypeObject *type = Py_TYPE(self);
    Py_DECREF(self->network);
    Py_DECREF(self->method);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef hold_methods[] = {
    {"__enter__", METHOD(hold_enter), METH_NOARGS, NULL},
    {"__exit__", METHOD(hold_exit), METH_VARARGS, NULL},
    {0},
};

static PyType_Slot hold_slots[] = {{Py_tp_dealloc, hold_dealloc}, {Py_tp_methods, hold_methods}, {0, NULL}};

PyType_Spec hold_spec = {
    .name = "mlpc._core.Hold",
    .basicsize = sizeof(hold_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = hold_slots,
};
