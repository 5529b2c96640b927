import Kernels

/// Memory that grows to the largest size asked for and then stays: no allocation after warm-up.
@safe
package final class ScratchBuffer<Element: BitwiseCopyable> {
  private var buffer: AlignedBuffer<Element>

  package init(count: Int = 0) { buffer = AlignedBuffer(count: count) }

  /// Room for `count` elements; what was there before is lost when it has to grow.
  package func reserve(_ count: Int) -> UnsafeMutablePointer<Element> {
    if count > buffer.count { buffer = AlignedBuffer(count: count + count / 4) }
    return unsafe buffer.pointer
  }

  /// The first element; valid until the next ``reserve(_:)``.
  package var pointer: UnsafeMutablePointer<Element> { unsafe buffer.pointer }
}
