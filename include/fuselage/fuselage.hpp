// Module: app.
//
// Everything there is.
#pragma once

#include <fuselage/async.hpp>
#include <fuselage/deferred.hpp>
#include <fuselage/file_system.hpp>
#include <fuselage/handle_table.hpp>
#include <fuselage/io.hpp>
#include <fuselage/log.hpp>
#include <fuselage/manual_session.hpp>
#include <fuselage/mount.hpp>
#include <fuselage/node_table.hpp>
#include <fuselage/notifier.hpp>
#include <fuselage/options.hpp>
#include <fuselage/path_file_system.hpp>
#include <fuselage/run.hpp>
#include <fuselage/session.hpp>
#include <fuselage/statistics.hpp>
