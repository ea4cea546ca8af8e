"""The inverse of A = G + Λ: in place by Cholesky, as the methods take it, and the general one of the published ADMM.

python tests/benchmarks/inverse.py [dataset=ml-20m-like dtype=float32 ...]
"""

from functools import partial

import numpy as np
from common import Bench, load_all, parse, parser, timed

from edlae_sweeps.linalg import invert_general, invert_spd, invert_upper


def main() -> None:
    options = parser(__doc__, [])
    options.add_argument("--general", action="store_true", help="the general inverse too: four times T, in float64")
    given, chosen = parse(options)
    _, gram = load_all(chosen)
    np.einsum("ii->i", gram)[:] += chosen.method.penalty(gram)
    bench, n = Bench.on("inverse", gram), len(gram)
    for what, invert in (("one triangle (potrf, potri)", invert_upper), ("both triangles", invert_spd)):
        work = gram.copy()
        bench.add(what, None, timed(partial(invert, work))[0], n**3)
    del work
    if given.general:
        bench.add("general (numpy.linalg.inv)", None, timed(lambda: invert_general(gram))[0], 8 * n**3 / 3)
    bench.show()


if __name__ == "__main__":
    main()
