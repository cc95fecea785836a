"""Workloads with a name: stores, stock and orders that anybody can make again from a seed.

    workload     stores, stock and orders as arrays, and *metro*, from which the others are made
    named        which there are, what each stands for, and how each is made
    files        one as files, to serve and to load
    command      the command line: `fendan workload`

`fendan load` sends their orders to a server; the benchmarks route them in the engine alone.
"""
