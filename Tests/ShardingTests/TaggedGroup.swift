import Fabric
import TestSupport

/// A group whose ranks say which calls they made, whatever they did.
final class TaggedGroup: ForwardingGroup {
  let inner: any ProcessGroup
  let callTag: Int64

  init(_ inner: any ProcessGroup, callTag: Int64) {
    self.inner = inner
    self.callTag = callTag
  }

  func explainDivergence() throws -> Never {
    throw CallMismatch(rank, "some calls", (rank + 1) % size, "others")
  }
}
