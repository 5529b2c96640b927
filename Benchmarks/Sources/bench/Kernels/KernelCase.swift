import Measuring

/// A kernel on prepared data, ready to be called again and again.
struct KernelCase {
  let name: String
  /// What one call moves and computes.
  let work: KernelWork
  /// Whether it writes rows back, which asks for the peak of updates.
  var updates = false
  /// Whether bytes and operations say what bounds it; a sort or a sampler is bound by neither.
  var hasRoof = true
  let body: () -> Void
}
