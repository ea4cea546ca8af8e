"""The inverse of A = G + Λ: by Cholesky in place, as the methods use it, and the general one of the published ADMM.

python tests/benchmarks/inverse.py [dataset=ml-20m-like dtype=float32 ...]
"""

from functools import partial

import numpy as np
from common import Bench, load_training, parse, parser, timed

from edlae_sweeps.linalg import invert_general, mirror_upper
from edlae_sweeps.linalg.spd import invert_upper


def main() -> None:
    options = parser(__doc__, [])
    options.add_argument(
        "--general", action="store_true", help="also the general inverse, in float64: about four times T"
    )
    given, chosen = parse(options)
    data = load_training(chosen)
    gram = data.gram.copy()
    np.einsum("ii->i", gram)[:] += chosen.method.penalty(data.item_counts)
    del data
    bench, n = Bench.on("inverse", gram), len(gram)
    work = gram.copy()
    bench.add("one triangle (potrf, potri)", None, timed(partial(invert_upper, work))[0], n**3)
    bench.add("the other, mirrored", None, timed(partial(mirror_upper, work))[0])
    del work
    if given.general:
        bench.add("general (numpy.linalg.inv)", None, timed(lambda: invert_general(gram))[0], 8 * n**3 / 3)
    bench.show()


if __name__ == "__main__":
    main()
