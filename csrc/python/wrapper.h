/* wrapper.h: what the files of the extension module share: the network object and the state of the module, arrays as
 * rows of the core, and calls of the core. Every floating-point operation is the core's (../mlp.h); here buffers become
 * pointers, errors become exceptions, and the GIL is released and taken.
 *
 *     module.c         the module: names, about, the docstrings that Python brings
 *     network_type.c   the type: construction, attributes, views of the parameters
 *     network_read.c   methods that read a network: outputs, labels, gradients
 *     network_fit.c    training, its schedule and its hooks
 *     network_state.c  optimizer, random source, history, and all that saving keeps
 *     arrays.c         any array argument as mlp_rows, without a copy
 *     sparse.c         sparse ones
 *     locks.c          readers and writers of a network
 *     calls.c          the GIL, signals, errors
 *     threads.c        how many threads there may be, and the pool of them
 *
 * n, K, L and the rest are those of mlp.h's legend. Functions that fail set an exception and return NULL or false. */
#ifndef MLPC_WRAPPER_H
#define MLPC_WRAPPER_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL mlpc_array_api
#ifndef MLPC_IMPORTS_ARRAY_API /* module.c alone */
#define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>

#include "../mlp.h"

typedef struct {
    PyTypeObject *memmap;                       /* numpy.memmap: the one subclass of ndarray that is read in place */
    PyTypeObject *hold_type;                    /* of locks.c */
    PyObject *as_array, *as_floats, *csr_parts; /* of mlpc._arrays; NULL until they are first needed */
    const char *kernels;                        /* what MLPC_ISA asks for, a name of the core's; NULL: the best */
    mlp_shelf shelf;                            /* scratch of all calls */
    size_t n_threads;                           /* of a call that does not say */
    mlp_pool *pool;                             /* NULL until it is needed */
    size_t pool_forks;                          /* those behind the process that it belongs to */
    size_t pool_users;                          /* calls under way that have it */
    bool ended;                                 /* the interpreter is ending: no more workers */
} module_state;

/* Many readers or one writer. Changed with the GIL held, so that plain numbers do. */
typedef struct {
    size_t readers;
    size_t forks; /* that they have been counted after */
    bool writing;
    uint64_t writer;     /* the thread, while writing: see locks.c */
    size_t writer_forks; /* what the forks were when it began */
} rw_lock;

typedef enum { OUTPUTS, BINARY_LABELS, CATEGORICAL_LABELS } prediction; /* what predict gives */

typedef struct {
    PyObject_HEAD module_state *state; /* of the module, which the type keeps alive */
    mlp_network *net;                  /* NULL until __init__ has succeeded */
    size_t n_layers;                   /* L */
    size_t *layer_sizes;               /* [L+1] */
    int typenum;                       /* NPY_FLOAT or NPY_DOUBLE */
    prediction predicts;
    bool bias;
    size_t n_threads;        /* of a call that does not say; 0: the module's */
    bool one_target;         /* several quantiles: one column of y may stand for all K */
    size_t history_size;     /* of lbfgs; 0 under another rule */
    PyObject *bit_generator; /* what owns the random source; NULL: none */
    mlp_random random;

    rw_lock core, whole; /* what the core has of it; and, around that, what Python keeps too: optimizer, random state,
                          * what callbacks add */
    bool in_callback;    /* the thread that writes to the core is in a function of the caller's */

    PyObject *weak_references;
} network_object;

extern PyType_Spec network_spec, hold_spec;
extern struct PyModuleDef core_module;

/* The methods of network_read.c, network_fit.c, network_state.c and locks.c, which the type lists. */
PyObject *network_predict_proba(network_object *, PyObject *const *, Py_ssize_t, PyObject *);
PyObject *network_forward(network_object *, PyObject *const *, Py_ssize_t, PyObject *);
PyObject *network_predict(network_object *, PyObject *const *, Py_ssize_t, PyObject *);
PyObject *network_transform(network_object *, PyObject *const *, Py_ssize_t, PyObject *);
PyObject *network_activations(network_object *, PyObject *const *, Py_ssize_t, PyObject *);
PyObject *network_evaluate(network_object *, PyObject *args, PyObject *kwargs);
PyObject *network_backpropagate(network_object *, PyObject *args, PyObject *kwargs);
PyObject *network_fit(network_object *, PyObject *args, PyObject *kwargs);
PyObject *network_end_epoch(network_object *, PyObject *);
PyObject *network_record_epoch(network_object *, PyObject *args);
PyObject *network_set_optimizer(network_object *, PyObject *args);
PyObject *network_set_bit_generator(network_object *, PyObject *bit_generator);
PyObject *network_restart(network_object *, PyObject *args);
PyObject *network_release(network_object *, PyObject *);
PyObject *network_history(network_object *, PyObject *);
PyObject *network_get_state(network_object *, PyObject *);
PyObject *network_set_state(network_object *, PyObject *state);
PyObject *network_as_writer(network_object *, PyObject *method);
PyObject *network_as_reader(network_object *, PyObject *method);

/* A schedule tuple, as _core.pyi describes it; hook: the callable of "hook", borrowed. */
bool get_schedule(PyObject *tuple, mlp_schedule *schedule, PyObject **hook);

/* The network is initialised; else RuntimeError. */
bool ready(const network_object *self);

/* A function that takes more or other than (self, args), as PyMethodDef wants it. */
#define METHOD(function) ((PyCFunction)(void (*)(void))(function))

/* ---- arrays.c */

/* The arrays of a sparse argument: data, indices, indptr. */
typedef struct {
    PyArrayObject *arrays[3];
    PyObject *pins[3];
    mlp_csr csr;
} sparse_parts;

/* An array argument, and what the core sees of it. */
typedef struct {
    const char *name;     /* as the caller knows it: "X", "validation_data[0]" */
    PyArrayObject *array; /* NULL: sparse, or no argument */
    PyObject *pin;        /* keeps the buffer in place: the array is not resized meanwhile */
    sparse_parts *sparse; /* what rows.data points into; NULL: dense */
    mlp_rows rows;
} operand;

/* X, y and weights of one call. */
typedef struct {
    operand x, y, weight; /* weight.array NULL: none */
    PyArrayObject *class_weight;
    mlp_data data;
} operands;

/* The names of X, y and the sample weights in messages. */
extern const char *const TRAINING_NAMES[3], *const VALIDATION_NAMES[3];

/* value as an ndarray of booleans, integers or floats of at most 8 bytes; only what is not an array is converted. */
PyArrayObject *as_numbers(module_state *state, PyObject *value, const char *name);
/* for_now: the core comes next and computes for so short a time that the GIL is kept, so that no other code can touch
 * the buffer; it is not pinned then. */
bool get_x(const network_object *self, PyObject *value, const char *name, bool for_now, operand *x);
bool get_data(const network_object *self, PyObject *const values[3], const char *const names[3], operands *data);
bool get_class_weight(const network_object *self, PyObject *value, operands *data);
/* A vector laid out like the parameters, contiguous and in the network's dtype; copied only where it is not so. */
bool get_vector(const network_object *self, PyObject *value, const char *name, operand *vector);

/* For arrays.c and sparse.c. */
bool numeric_type(const PyArrayObject *array, mlp_type *type); /* the core's; false where it has none */
void raise_numbers(const char *name, const PyArrayObject *array);
/* ValueError "NAME must have shape EXPECTED, got SHAPE HINT"; the two are taken over, NULL: an exception is set. */
void raise_shape(const char *name, PyObject *expected, PyObject *shape, const char *hint);
mlp_rows rows_of(const PyArrayObject *array); /* of one or two dimensions; one is one column */
PyObject *pin(PyArrayObject *array);
/* A function of mlpc._arrays, kept in *place; borrowed. */
PyObject *helper(PyObject **place, const char *name);

void release(operand *x);
void release_data(operands *data);

/* "X[12, 3] is nan"; a row or column past the end is left out. */
PyObject *describe_element(const operand *x, size_t row, size_t column);

/* New C-contiguous arrays. */
PyArrayObject *new_vector(size_t n, int typenum);
PyArrayObject *new_matrix(size_t n_rows, size_t n_columns, int typenum);
PyArrayObject *copy_of(const void *values, size_t n, int typenum);

/* ---- sparse.c */

/* Makes value an operand where it is a CSR matrix or array of scipy.sparse, which has n_inputs columns: 1; dense: 0;
 * else -1. */
int get_sparse(module_state *state, PyObject *value, const char *name, size_t n_inputs, operand *x);
void release_sparse(operand *x);

/* ---- threads.c */
/* MLPC_NUM_THREADS, OMP_NUM_THREADS, else the processors this process may use; 0: there is an exception. */
size_t default_threads(void);
mlp_pool *get_pool(module_state *state);
void end_pool(module_state *state);

/* ---- locks.c */
bool lock_read(network_object *self, const char *method);
void unlock_read(network_object *self);
bool lock_write(network_object *self, const char *method);
void unlock_write(network_object *self);
/* This thread is in a callback of its own training, where it may write parameters under the lock it has. */
bool in_own_callback(const network_object *self);

/* ---- calls.c */

/* A call of the core: what it polls through, and the thread state that waits meanwhile. */
typedef struct {
    mlp_call core;
    PyThreadState *waiting; /* NULL while the GIL is held */
    module_state *state;    /* of the pool that the call has; NULL: none */
    int64_t next_poll;      /* ns of the monotonic clock */
    bool polled;            /* since the last epoch that was told to Python */
} call;

/* Around a call of the core that takes about so many floating-point operations: where they take long, the GIL is
 * released and signals are looked for meanwhile. */
bool is_long(double work); /* the GIL is released then, and only then */
void begin_call(call *c, const network_object *self, double work, size_t n_threads); /* n_threads 0: the network's */
void end_call(call *c);
/* For a hook in between: take_gil says whether it was released, and give_gil restores that. */
bool take_gil(call *c);
void give_gil(call *c, bool released);

/* The exception that belongs to a status other than MLP_OK; returns NULL. What the call did not have is NULL. */
PyObject *raise_status(mlp_status status, const call *c, const operands *data, const operands *validation);

#endif
