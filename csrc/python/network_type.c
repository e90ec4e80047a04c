/* network_type.c: the type mlpc._core.Network: construction, attributes, views of the parameters. Its methods that
 * compute are in network_read.c, network_fit.c and network_state.c. */
#include "wrapper.h"

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <structmember.h>

#if PY_VERSION_HEX < 0x030B0000
#define PyType_GetModuleByDef _PyType_GetModuleByDef /* public since 3.11 */
#endif

static PyObject *network_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs)) {
    PyObject *module = PyType_GetModuleByDef(type, &core_module);
    if (module == NULL) return NULL;
    network_object *self = (network_object *)type->tp_alloc(type, 0);
    if (self != NULL) self->state = PyModule_GetState(module);
    return (PyObject *)self;
}

static int network_traverse(network_object *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->bit_generator);
    return 0;
}

static int network_clear(network_object *self) {
    Py_CLEAR(self->bit_generator);
    self->random = (mlp_random){0};
    return 0;
}

static void network_dealloc(network_object *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weak_references != NULL) PyObject_ClearWeakRefs((PyObject *)self);
    network_clear(self);
    mlp_destroy(self->net);
    PyMem_Free(self->layer_sizes);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ---- Construction */

static bool check_item_type(const char *name, PyTypeObject *type, PyObject *item) {
    if (PyObject_TypeCheck(item, type)) return true;
    PyErr_Format(PyExc_TypeError, "%s must hold %s, got %s", name, type->tp_name, Py_TYPE(item)->tp_name);
    return false;
}

static size_t *get_sizes(PyObject *tuple) {
    Py_ssize_t n = PyTuple_GET_SIZE(tuple);
    size_t *sizes = PyMem_New(size_t, (size_t)n + 1); /* not 0 */
    if (sizes == NULL) return (size_t *)PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *item = PyTuple_GET_ITEM(tuple, i);
        Py_ssize_t size = PyNumber_AsSsize_t(item, PyExc_ValueError);
        if (size == -1 && PyErr_Occurred()) goto fail;
        if (size < 1) {
            PyErr_Format(PyExc_ValueError, "layer_sizes must be whole numbers >= 1, got %R", tuple);
            goto fail;
        }
        sizes[i] = (size_t)size;
    }
    return sizes;
fail:
    PyMem_Free(sizes);
    return NULL;
}

static const char **get_names(PyObject *tuple) {
    Py_ssize_t n = PyTuple_GET_SIZE(tuple);
    const char **names = PyMem_New(const char *, (size_t)n + 1);
    if (names == NULL) return (const char **)PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *item = PyTuple_GET_ITEM(tuple, i);
        names[i] = check_item_type("activations", &PyUnicode_Type, item) ? PyUnicode_AsUTF8(item) : NULL;
        if (names[i] == NULL) {
            PyMem_Free(names);
            return NULL;
        }
    }
    return names;
}

static double *get_doubles(PyObject *tuple) {
    Py_ssize_t n = PyTuple_GET_SIZE(tuple);
    double *values = PyMem_New(double, (size_t)n + 1);
    if (values == NULL) return (double *)PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < n; i++) {
        values[i] = PyFloat_AsDouble(PyTuple_GET_ITEM(tuple, i));
        if (values[i] == -1.0 && PyErr_Occurred()) {
            PyMem_Free(values);
            return NULL;
        }
    }
    return values;
}

static int network_init(network_object *self, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"layer_sizes", "activations", "loss",    "loss_parameters", "sum", "l1", "l2", "dropout",
                            "bias",        "dtype",       "kernels", "penalty_in_mean", NULL};
    PyObject *sizes, *activations, *loss_parameters, *dropout;
    int sum, bias, penalty_in_mean = false, status = -1;
    const char *dtype, *reason;
    mlp_spec spec = {.kernels = NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!O!sO!pddO!ps|zp:Network", names, &PyTuple_Type, &sizes,
                                     &PyTuple_Type, &activations, &spec.loss, &PyTuple_Type, &loss_parameters, &sum,
                                     &spec.l1, &spec.l2, &PyTuple_Type, &dropout, &bias, &dtype, &spec.kernels,
                                     &penalty_in_mean)) {
        return -1;
    }
    Py_ssize_t n_layers = PyTuple_GET_SIZE(activations), n_rates = PyTuple_GET_SIZE(dropout);
    if (n_layers < 1 || PyTuple_GET_SIZE(sizes) != n_layers + 1 || (n_rates != 0 && n_rates != n_layers - 1)) {
        PyErr_Format(PyExc_ValueError,
                     "layer_sizes, activations and dropout must have L + 1, L and L - 1 elements, got %zd, %zd and %zd",
                     PyTuple_GET_SIZE(sizes), n_layers, n_rates);
        return -1;
    }
    if (strcmp(dtype, "float32") != 0 && strcmp(dtype, "float64") != 0) {
        PyErr_Format(PyExc_ValueError, "dtype must be float32 or float64, got %s", dtype);
        return -1;
    }

    size_t *layer_sizes = get_sizes(sizes);
    const char **activation_names = layer_sizes == NULL ? NULL : get_names(activations);
    double *parameters = activation_names == NULL ? NULL : get_doubles(loss_parameters);
    double *rates = parameters == NULL ? NULL : get_doubles(dropout);
    if (rates == NULL) goto done;
    spec.n_layers = (size_t)n_layers;
    spec.layer_sizes = layer_sizes;
    spec.activations = activation_names;
    spec.loss_parameters = parameters;
    spec.n_loss_parameters = (size_t)PyTuple_GET_SIZE(loss_parameters);
    spec.sum = sum;
    spec.penalty_in_mean = penalty_in_mean;
    spec.dropout = n_rates > 0 ? rates : NULL;
    spec.bias = bias;
    spec.dtype = strcmp(dtype, "float32") == 0 ? MLP_F32 : MLP_F64;
    if (spec.kernels == NULL) spec.kernels = self->state->kernels;
    reason = mlp_check(&spec);
    if (reason != NULL) {
        PyErr_SetString(PyExc_ValueError, reason);
        goto done;
    }
    mlp_network *net = mlp_create(&spec);
    if (net == NULL) {
        PyErr_SetString(PyExc_MemoryError, "layer_sizes: there is no memory for so many parameters");
        goto done;
    }
    if (self->net != NULL) {
        mlp_destroy(net);
        PyErr_SetString(PyExc_RuntimeError, "a network is initialised once: make a new one");
        goto done;
    }
    self->net = net;
    self->n_layers = spec.n_layers;
    self->layer_sizes = layer_sizes;
    layer_sizes = NULL;
    self->typenum = spec.dtype == MLP_F32 ? NPY_FLOAT : NPY_DOUBLE;
    self->predicts = strcmp(spec.loss, "binary_cross_entropy") == 0        ? BINARY_LABELS
                     : strcmp(spec.loss, "categorical_cross_entropy") == 0 ? CATEGORICAL_LABELS
                                                                           : OUTPUTS;
    self->bias = bias;
    self->one_target = spec.n_loss_parameters > 1;
    status = 0;
done:
    PyMem_Free(rates);
    PyMem_Free(parameters);
    PyMem_Free(activation_names);
    PyMem_Free(layer_sizes);
    return status;
}

/* ---- Views */

/* Numbers in a row, `stride` bytes apart, and whose memory that is: the network's, or an array's. */
typedef struct {
    PyObject *owner;
    PyArray_Descr *dtype;
    char *data;
    npy_intp stride;
    bool writeable;
} flat_vector;

static flat_vector parameters_of(network_object *self) {
    return (flat_vector){.owner = (PyObject *)self,
                         .dtype = PyArray_DescrFromType(self->typenum),
                         .data = mlp_parameters(self->net),
                         .stride = self->typenum == NPY_FLOAT ? sizeof(float) : sizeof(double),
                         .writeable = true};
}

static PyObject *view_of(const flat_vector *v, size_t at, int n_dimensions, const npy_intp *shape) {
    const npy_intp strides[2] = {n_dimensions == 2 ? shape[1] * v->stride : v->stride, v->stride};
    PyObject *view =
        PyArray_NewFromDescr(&PyArray_Type, (PyArray_Descr *)Py_NewRef(v->dtype), n_dimensions, shape, strides,
                             v->data + (npy_intp)at * v->stride, v->writeable ? NPY_ARRAY_WRITEABLE : 0, NULL);
    if (view != NULL && PyArray_SetBaseObject((PyArrayObject *)view, Py_NewRef(v->owner)) < 0) Py_CLEAR(view);
    return view;
}

/* The W[l] or b[l] of a vector laid out like the parameters, for every l. */
static PyObject *layers_of(const network_object *self, const flat_vector *v, bool weights) {
    PyObject *tuple = PyTuple_New(weights || self->bias ? (Py_ssize_t)self->n_layers : 0);
    for (size_t l = 1; tuple != NULL && l <= (size_t)PyTuple_GET_SIZE(tuple); l++) {
        const npy_intp shape[2] = {(npy_intp)self->layer_sizes[l - 1], (npy_intp)self->layer_sizes[l]};
        PyObject *view = weights ? view_of(v, mlp_weights_at(self->net, l), 2, shape)
                                 : view_of(v, mlp_biases_at(self->net, l), 1, shape + 1);
        if (view != NULL) {
            PyTuple_SET_ITEM(tuple, (Py_ssize_t)l - 1, view);
        } else {
            Py_CLEAR(tuple);
        }
    }
    return tuple;
}

static PyObject *own_layers(network_object *self, bool weights) {
    if (!ready(self)) return NULL;
    flat_vector v = parameters_of(self);
    PyObject *layers = layers_of(self, &v, weights);
    Py_DECREF(v.dtype);
    return layers;
}

static PyObject *get_weights(network_object *self, void *Py_UNUSED(closure)) { return own_layers(self, true); }

static PyObject *get_biases(network_object *self, void *Py_UNUSED(closure)) { return own_layers(self, false); }

static PyObject *unpack(network_object *self, PyObject *vector) {
    if (!ready(self)) return NULL;
    size_t n = mlp_n_parameters(self->net);
    if (!PyArray_Check(vector)) {
        PyErr_Format(PyExc_TypeError, "vector must be an array of shape (%zu,), got %s", n, Py_TYPE(vector)->tp_name);
        return NULL;
    }
    PyArrayObject *array = (PyArrayObject *)vector;
    if (PyArray_NDIM(array) != 1 || (size_t)PyArray_DIM(array, 0) != n) {
        PyObject *shape = PyObject_GetAttrString(vector, "shape");
        if (shape != NULL) PyErr_Format(PyExc_ValueError, "vector must be of shape (%zu,), got %S", n, shape);
        Py_XDECREF(shape);
        return NULL;
    }
    flat_vector v = {.owner = vector,
                     .dtype = PyArray_DESCR(array),
                     .data = PyArray_BYTES(array),
                     .stride = PyArray_STRIDE(array, 0),
                     .writeable = PyArray_ISWRITEABLE(array)};
    PyObject *weights = layers_of(self, &v, true), *biases = weights == NULL ? NULL : layers_of(self, &v, false);
    PyObject *both = biases == NULL ? NULL : PyTuple_Pack(2, weights, biases);
    Py_XDECREF(biases);
    Py_XDECREF(weights);
    return both;
}

static PyObject *get_parameters(network_object *self, void *Py_UNUSED(closure)) {
    if (!ready(self)) return NULL;
    flat_vector v = parameters_of(self);
    PyObject *view = view_of(&v, 0, 1, &(npy_intp){(npy_intp)mlp_n_parameters(self->net)});
    Py_DECREF(v.dtype);
    return view;
}

static int set_parameters(network_object *self, PyObject *value, void *Py_UNUSED(closure)) {
    int status = -1;
    if (!ready(self)) return -1;
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "parameters cannot be deleted");
        return -1;
    }
    operand vector;
    PyObject *view = get_vector(self, value, "parameters", &vector) ? get_parameters(self, NULL) : NULL;
    bool nested = in_own_callback(self);
    /* A signal's handler may come in the middle of a prediction that the callback makes. */
    if (view != NULL && nested && self->core.readers > 0) {
        PyErr_SetString(PyExc_RuntimeError, "parameters: this network is being read by another call");
        Py_CLEAR(view);
    }
    if (view != NULL && !mlp_is_finite(self->net, PyArray_DATA(vector.array))) {
        PyErr_Format(PyExc_ValueError, "parameters must be finite%s, got nan or infinity",
                     self->typenum == NPY_FLOAT ? " in float32" : "");
        Py_CLEAR(view);
    }
    if (view != NULL && (nested || lock_write(self, "parameters"))) {
        status = PyArray_CopyInto((PyArrayObject *)view, vector.array);
        if (!nested) unlock_write(self);
    }
    Py_XDECREF(view);
    release(&vector);
    return status;
}

/* ---- Numbers. They may be read while another thread trains: each is one aligned word. */

static PyObject *get_n_parameters(network_object *self, void *Py_UNUSED(closure)) {
    return ready(self) ? PyLong_FromSize_t(mlp_n_parameters(self->net)) : NULL;
}

static PyObject *get_epoch(network_object *self, void *Py_UNUSED(closure)) {
    return ready(self) ? PyLong_FromUnsignedLongLong(mlp_progress_of(self->net)->epoch) : NULL;
}

static PyObject *get_step(network_object *self, void *Py_UNUSED(closure)) {
    return ready(self) ? PyLong_FromUnsignedLongLong(mlp_progress_of(self->net)->step) : NULL;
}

static PyObject *get_evaluations(network_object *self, void *Py_UNUSED(closure)) {
    return ready(self) ? PyLong_FromUnsignedLongLong(mlp_evaluations(self->net)) : NULL;
}

static PyObject *get_kernels(network_object *self, void *Py_UNUSED(closure)) {
    return ready(self) ? PyUnicode_FromString(mlp_kernels_name(self->net)) : NULL;
}

static PyObject *get_n_threads(network_object *self, void *Py_UNUSED(closure)) {
    return PyLong_FromSize_t(self->n_threads);
}

static int set_n_threads(network_object *self, PyObject *value, void *Py_UNUSED(closure)) {
    size_t n_threads = value == NULL ? 0 : PyLong_AsSize_t(value);
    if (PyErr_Occurred()) return -1;
    self->n_threads = n_threads;
    return 0;
}

/* A number, or None for nothing; NaN is no improvement. */
static int set_plateau_value(network_object *self, PyObject *value, void *Py_UNUSED(closure)) {
    bool none = value == NULL || value == Py_None;
    double number = none ? -HUGE_VAL : PyFloat_AsDouble(value);
    if (PyErr_Occurred() || !ready(self)) return -1;
    mlp_progress_of(self->net)->plateau_value = none ? number : isnan(number) ? HUGE_VAL : fmax(number, -DBL_MAX);
    return 0;
}

/* What a network may be expected to have, and would keep for nothing: where it is. */
static const char *const elsewhere[][2] = {
    {"learning_rate", "it is the optimizer's: net.optimizer = net.optimizer.replace(learning_rate=...)"},
    {"batch_size", "fit takes it"},
    {"epochs", "fit takes it, and net.epoch counts them"},
};

static int network_setattr(PyObject *self, PyObject *name, PyObject *value) {
    for (size_t i = 0; PyUnicode_Check(name) && i < sizeof elsewhere / sizeof *elsewhere; i++) {
        if (PyUnicode_CompareWithASCIIString(name, elsewhere[i][0]) == 0) {
            PyErr_Format(PyExc_AttributeError, "a network has no attribute '%s': %s", elsewhere[i][0], elsewhere[i][1]);
            return -1;
        }
    }
    return PyObject_GenericSetAttr(self, name, value);
}

static PyGetSetDef attributes[] = {
    {"parameters", (getter)get_parameters, (setter)set_parameters, NULL, NULL},
    {"weights", (getter)get_weights, NULL, NULL, NULL},
    {"biases", (getter)get_biases, NULL, NULL, NULL},
    {"n_parameters", (getter)get_n_parameters, NULL, NULL, NULL},
    {"epoch", (getter)get_epoch, NULL, NULL, NULL},
    {"step", (getter)get_step, NULL, NULL, NULL},
    {"_kernels", (getter)get_kernels, NULL, NULL, NULL},
    {"_evaluations", (getter)get_evaluations, NULL, NULL, NULL},
    {"_n_threads", (getter)get_n_threads, (setter)set_n_threads, NULL, NULL},
    {"_plateau_value", NULL, (setter)set_plateau_value, NULL, NULL},
    {0},
};

#define KEYWORDS METH_VARARGS | METH_KEYWORDS
#define FAST METH_FASTCALL | METH_KEYWORDS

/* Docstrings are mlpc/_docs.py's. */
static PyMethodDef methods[] = {
    {"predict_proba", METHOD(network_predict_proba), FAST, NULL},
    {"forward", METHOD(network_forward), FAST, NULL},
    {"predict", METHOD(network_predict), FAST, NULL},
    {"transform", METHOD(network_transform), FAST, NULL},
    {"activations", METHOD(network_activations), FAST, NULL},
    {"end_epoch", METHOD(network_end_epoch), METH_NOARGS, NULL},
    {"_record_epoch", METHOD(network_record_epoch), METH_VARARGS, NULL},
    {"_unpack", METHOD(unpack), METH_O, NULL},
    {"_evaluate", METHOD(network_evaluate), KEYWORDS, NULL},
    {"_backpropagate", METHOD(network_backpropagate), KEYWORDS, NULL},
    {"_fit", METHOD(network_fit), KEYWORDS, NULL},
    {"_as_writer", METHOD(network_as_writer), METH_O, NULL},
    {"_as_reader", METHOD(network_as_reader), METH_O, NULL},
    {"_set_optimizer", METHOD(network_set_optimizer), METH_VARARGS, NULL},
    {"_set_bit_generator", METHOD(network_set_bit_generator), METH_O, NULL},
    {"_restart", METHOD(network_restart), METH_VARARGS, NULL},
    {"_release", METHOD(network_release), METH_NOARGS, NULL},
    {"_history", METHOD(network_history), METH_NOARGS, NULL},
    {"_get_state", METHOD(network_get_state), METH_NOARGS, NULL},
    {"_set_state", METHOD(network_set_state), METH_O, NULL},
    {0},
};

static PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(network_object, weak_references), READONLY, NULL},
    {0},
};

static PyType_Slot slots[] = {
    {Py_tp_new, network_new},          {Py_tp_init, network_init},
    {Py_tp_dealloc, network_dealloc},  {Py_tp_traverse, network_traverse},
    {Py_tp_clear, network_clear},      {Py_tp_methods, methods},
    {Py_tp_getset, attributes},        {Py_tp_members, members},
    {Py_tp_setattro, network_setattr}, {0, NULL},
};

PyType_Spec network_spec = {
    .name = "mlpc._core.Network",
    .basicsize = sizeof(network_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};
