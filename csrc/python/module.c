/* module.c: the module mlpc._core: names of the core, its type, and two functions that belong to no network. */
#define MLPC_IMPORTS_ARRAY_API
#include "wrapper.h"

/* ---- Functions */

/* The text of a method or attribute is pointed to from a static table of this module, so it is never freed. */
static PyObject *add_docstring(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *object, *text;
    const char **place;
    if (!PyArg_ParseTuple(args, "OU:add_docstring", &object, &text)) return NULL;
    if (Py_IS_TYPE(object, &PyMethodDescr_Type)) {
        place = &((PyMethodDescrObject *)object)->d_method->ml_doc;
    } else if (Py_IS_TYPE(object, &PyGetSetDescr_Type)) {
        place = &((PyGetSetDescrObject *)object)->d_getset->doc;
    } else {
        PyErr_Format(PyExc_TypeError, "add_docstring needs a method or an attribute of a C type, got %s",
                     Py_TYPE(object)->tp_name);
        return NULL;
    }
    const char *characters = PyUnicode_AsUTF8(text);
    if (characters == NULL) return NULL;
    if (*place == NULL) {
        Py_INCREF(text);
        *place = characters;
    } else if (strcmp(*place, characters) != 0) {
        PyErr_Format(PyExc_RuntimeError, "%R has another docstring already", object);
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *schedule_multiplier(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *tuple, *hook;
    double epochs;
    mlp_schedule schedule;
    if (!PyArg_ParseTuple(args, "Od:schedule_multiplier", &tuple, &epochs) || !get_schedule(tuple, &schedule, &hook)) {
        return NULL;
    }
    if (schedule.kind == MLP_REDUCE_ON_PLATEAU || schedule.kind == MLP_SCHEDULE_HOOK) {
        PyErr_Format(PyExc_ValueError, "the multiplier of %R is not a function of the epoch alone", tuple);
        return NULL;
    }
    return PyFloat_FromDouble(mlp_multiplier(&schedule, epochs, 1.0));
}

static PyObject *end_threads(PyObject *module, PyObject *Py_UNUSED(args)) {
    end_pool(PyModule_GetState(module));
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"add_docstring", add_docstring, METH_VARARGS,
     "add_docstring(method, text, /)\n--\n\n"
     "Give a method or an attribute of a C type its docstring, so that docstrings live in Python."},
    {"schedule_multiplier", schedule_multiplier, METH_VARARGS,
     "schedule_multiplier(schedule, epochs, /)\n--\n\n"
     "Multiplier of a schedule tuple, as Network._fit takes it, at `epochs` epochs."},
    {"_end_threads", end_threads, METH_NOARGS,
     "_end_threads()\n--\n\nJoin the worker threads; later calls do without."},
    {0},
};

/* ---- Names of the core */

static PyObject *names_of(const char *(*name_at)(size_t)) {
    PyObject *list = PyList_New(0), *tuple;
    for (size_t i = 0; list != NULL && name_at(i) != NULL; i++) {
        PyObject *name = PyUnicode_InternFromString(name_at(i));
        if (name == NULL || PyList_Append(list, name) < 0) Py_CLEAR(list);
        Py_XDECREF(name);
    }
    tuple = list == NULL ? NULL : PyList_AsTuple(list);
    Py_XDECREF(list);
    return tuple;
}

static PyObject *losses(void) {
    PyObject *dict = PyDict_New();
    for (size_t i = 0; dict != NULL && mlp_loss_name(i) != NULL; i++) {
        PyObject *activation = PyUnicode_InternFromString(mlp_loss_activation(mlp_loss_name(i)));
        if (activation == NULL || PyDict_SetItemString(dict, mlp_loss_name(i), activation) < 0) Py_CLEAR(dict);
        Py_XDECREF(activation);
    }
    return dict;
}

/* Adds value, which it takes over; NULL: an exception is set. */
static int add(PyObject *module, const char *name, PyObject *value) {
    int status = value == NULL ? -1 : PyModule_AddObjectRef(module, name, value);
    Py_XDECREF(value);
    return status;
}

/* MLPC_ISA, read once. */
static int choose_kernels(module_state *state) {
    const char *wanted = getenv("MLPC_ISA");
    if (wanted == NULL || *wanted == '\0') return 0;
    for (size_t i = 0; mlp_kernels_available(i) != NULL; i++) {
        if (strcmp(wanted, mlp_kernels_available(i)) == 0) state->kernels = mlp_kernels_available(i);
    }
    if (state->kernels != NULL) return 0;
    PyObject *known = names_of(mlp_kernels_available);
    if (known != NULL)
        PyErr_Format(PyExc_ImportError, "MLPC_ISA must be one of %R on this machine, got '%s'", known, wanted);
    Py_XDECREF(known);
    return -1;
}

/* ---- The module */

static int import_numpy(module_state *state) {
    if (PyArray_ImportNumPyAPI() < 0) return -1;
    PyObject *numpy = PyImport_ImportModule("numpy");
    PyObject *memmap = numpy == NULL ? NULL : PyObject_GetAttrString(numpy, "memmap");
    Py_XDECREF(numpy);
    if (memmap != NULL && !PyType_Check(memmap)) {
        PyErr_SetString(PyExc_ImportError, "numpy.memmap is not a type");
        Py_CLEAR(memmap);
    }
    state->memmap = (PyTypeObject *)memmap;
    return memmap == NULL ? -1 : 0;
}

/* Workers are joined while the interpreter still stands. */
static int register_end(PyObject *module) {
    PyObject *atexit = PyImport_ImportModule("atexit"), *done = NULL;
    PyObject *function = atexit == NULL ? NULL : PyObject_GetAttrString(module, "_end_threads");
    if (function != NULL) done = PyObject_CallMethod(atexit, "register", "O", function);
    Py_XDECREF(done);
    Py_XDECREF(function);
    Py_XDECREF(atexit);
    return done == NULL ? -1 : 0;
}

static int execute(PyObject *module) {
    module_state *state = PyModule_GetState(module);
    state->n_threads = default_threads();
    if (state->n_threads == 0) return -1;
    if (!mlp_watch_forks()) {
        PyErr_NoMemory();
        return -1;
    }
    if (import_numpy(state) < 0 || choose_kernels(state) < 0 ||
        add(module, "ACTIVATIONS", names_of(mlp_activation_name)) < 0 || add(module, "LOSSES", losses()) < 0 ||
        add(module, "KERNELS", names_of(mlp_kernels_available)) < 0 ||
        add(module, "N_THREADS", PyLong_FromSize_t(state->n_threads)) < 0 || register_end(module) < 0) {
        return -1;
    }
    state->hold_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &hold_spec, NULL);
    if (state->hold_type == NULL) return -1;
    return add(module, "Network", PyType_FromModuleAndSpec(module, &network_spec, NULL));
}

static int module_traverse(PyObject *module, visitproc visit, void *arg) {
    module_state *state = PyModule_GetState(module);
    Py_VISIT(state->memmap);
    Py_VISIT(state->hold_type);
    Py_VISIT(state->as_array);
    Py_VISIT(state->as_floats);
    Py_VISIT(state->csr_parts);
    return 0;
}

static int module_clear(PyObject *module) {
    module_state *state = PyModule_GetState(module);
    Py_CLEAR(state->csr_parts);
    Py_CLEAR(state->as_array);
    Py_CLEAR(state->as_floats);
    Py_CLEAR(state->hold_type);
    Py_CLEAR(state->memmap);
    return 0;
}

static void module_free(void *module) {
    module_state *state = PyModule_GetState(module);
    end_pool(state);
    mlp_clear_shelf(&state->shelf);
    module_clear(module);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED}, /* nor does NumPy */
#endif
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_USED},
#endif
    {0, NULL},
};

struct PyModuleDef core_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "mlpc._core",
    .m_doc = "Multilayer perceptrons in C, on NumPy arrays; mlpc.Network is its public face.",
    .m_size = sizeof(module_state),
    .m_methods = functions,
    .m_slots = slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__core(void) { return PyModuleDef_Init(&core_module); }
