#include "python/statistics.hpp"

namespace fuselage::python {

PyObject* statistics_dict(const Statistics& statistics) {
  Ref operations(PyDict_New());
  if (!operations) return nullptr;
  using Number = unsigned long long;
  for (const OperationStatistics& operation : statistics.operations) {
    const Ref numbers(Py_BuildValue(
        "{s:K,s:K,s:K,s:K,s:d}", "count", static_cast<Number>(operation.count), "errors",
        static_cast<Number>(operation.errors), "bytes_in", static_cast<Number>(operation.bytes_in), "bytes_out",
        static_cast<Number>(operation.bytes_out), "seconds", std::chrono::duration<double>(operation.busy).count()));
    const std::string name(operation.name);
    if (!numbers || PyDict_SetItemString(operations.get(), name.c_str(), numbers.get()) != 0) return nullptr;
  }
  return Py_BuildValue("{s:O,s:K,s:K,s:K,s:K,s:s}", "operations", operations.get(), "notifications",
                       static_cast<Number>(statistics.notifications), "interrupts",
                       static_cast<Number>(statistics.interrupts), "malformed",
                       static_cast<Number>(statistics.malformed), "threads", static_cast<Number>(statistics.threads),
                       "transport", statistics.transport.c_str());
}

}  // namespace fuselage::python
