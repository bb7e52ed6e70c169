-- What is there, and under which names.
return {
  ["the globals are there"] = function(t)
    for _, name in ipairs { "spawn", "scope", "scope_cleanup_push", "scope_cleanup_pop", "with_timeout", "select" } do
      t.equal(type(_G[name]), "function", name)
    end
    t.ok(this_fiber, "this_fiber")
    for _, name in ipairs {
      "yield", "disable_interruption", "restore_interruption", "forbid_suspend", "allow_suspend",
    } do
      t.equal(type(this_fiber[name]), "function", name)
    end
  end,

  ["every module can be required, and is no global"] = function(t)
    for _, name in ipairs {
      "mutex", "recursive_mutex", "condition_variable", "cond", "future", "channel", "semaphore", "barrier",
      "steady_timer",
    } do
      t.equal(type(require(name).new), "function", name)
      t.equal(rawget(_G, name), nil, name)
    end
    t.equal(type(require "sleep_for"), "function")
    for _, name in ipairs { "mqr", "murmur", "nap", "pam_auth" } do
      t.equal(require(name), require(name))
      t.equal(rawget(_G, name), nil, name)
    end
    local time = require "time"
    for _, name in ipairs { "now", "monotonic", "sleep", "sleep_for", "after", "every" } do
      t.equal(type(time[name]), "function", name)
    end
  end,

  ["what is replaced has Lua's other functions beside it"] = function(t)
    for _, name in ipairs { "create", "wrap", "resume", "yield", "status", "running" } do
      t.equal(type(coroutine[name]), "function", name)
    end
    t.equal(require "coroutine", coroutine)
    t.equal(package.loaded.coroutine, coroutine)
  end,

  ["an instance's id is a text"] = function(t)
    t.equal(type(instance_id), "string")
    t.ok(instance_id:match "^%d+$", instance_id)
  end,
}
