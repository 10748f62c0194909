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

/// The same for a character device, for which there is nothing to choose but sizes.
void propose(Negotiation& negotiation, const wire::cuse_init_in& offer, const SessionOptions& options);

/// Turns the outcome into the answer and the agreement.
wire::fuse_init_out agree(const Negotiation& negotiation, const SessionOptions& options, Agreement& agreement);
wire::cuse_init_out agree_on_device(const Negotiation& negotiation, const SessionOptions& options,
                                    Agreement& agreement);

}  // namespace fuselage::session
