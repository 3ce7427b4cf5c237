"""The public names and their homes, for type checkers; ``__init__.py`` imports each when it is asked for."""

from opcount import separable as separable
from opcount.auditing import Audit as Audit, audit as audit
from opcount.comparison import Comparison as Comparison, compare as compare
from opcount.errors import OpCountError as OpCountError
from opcount.explaining import Explanation as Explanation
from opcount.formulas import formula as formula
from opcount.inputs import Input as Input
from opcount.intensity import Roofline as Roofline, roofline as roofline
from opcount.measuring import memory as memory, peak_activations as peak_activations
from opcount.metering import Meter as Meter, meter as meter
from opcount.occupancy import Memory as Memory
from opcount.ops import Convention as Convention, OpCount as OpCount, Term as Term
from opcount.pricing import Energy as Energy, EnergyTable as EnergyTable, energy as energy
from opcount.profiler import profile as profile
from opcount.reconciling import Reconciliation as Reconciliation, reconcile as reconcile
from opcount.result import LayerRecord as LayerRecord, Profile as Profile
from opcount.rules import rule as rule
from opcount.runs import WholeRun as WholeRun, whole_run as whole_run
from opcount.scaling_laws import Scaling as Scaling, scaling as scaling
from opcount.sweeping import sweep as sweep
from opcount.tallying import Tally as Tally, tallied as tallied, tally as tally
from opcount.utilization import mfu as mfu
from opcount.zeros import Sparsity as Sparsity, sparsity as sparsity

__version__: str
