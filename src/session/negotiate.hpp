// INIT: what the kernel offers x what the file system implements x what the options say.
#pragma once

#include <fuselage/negotiation.hpp>
#include <fuselage/operation_set.hpp>
#include <fuselage/session_options.hpp>

#include "session/connection.hpp"
#include "wire/kernel.hpp"

namespace fuselage::session {

/// Fills in what the kernel offers and what the session would use of it.
void propose(Negotiation& negotiation, const wire::fuse_init_in& offer, const SessionOptions& options,
             OperationSet implemented);

/// Turns the outcome into the answer and the agreement.
wire::fuse_init_out agree(const Negotiation& negotiation, const SessionOptions& options, Agreement& agreement);

}  // namespace fuselage::session
