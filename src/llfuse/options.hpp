// The options of `init`.
#pragma once

#include <fuselage/llfuse.hpp>
#include <fuselage/mount.hpp>
#include <fuselage/session.hpp>

namespace llfuse {

/// Takes `options` apart. EINVAL, with a message, for what is not known.
fuselage::Result<void> parse(const Options& options, fuselage::MountOptions& mount, fuselage::SessionOptions& session);

}  // namespace llfuse
