# Mistakes that the compiler must find, with words that help.

# mistake(NUMBER NAME REGEX): mistakes.cpp with this mistake does not compile, and the compiler says REGEX.
function(mistake number name regex)
  add_test(NAME mistakes.${name} COMMAND ${CMAKE_CXX_COMPILER} -std=c++20 -fsyntax-only -DMISTAKE=${number}
           -I${PROJECT_SOURCE_DIR}/include -I${FUSELAGE_GENERATED_INCLUDE} ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/mistakes.cpp)
  set_tests_properties(mistakes.${name} PROPERTIES LABELS fast PASS_REGULAR_EXPRESSION "${regex}")
endfunction()

add_test(NAME mistakes.none_compiles COMMAND ${CMAKE_CXX_COMPILER} -std=c++20 -fsyntax-only -DMISTAKE=0
         -I${PROJECT_SOURCE_DIR}/include -I${FUSELAGE_GENERATED_INCLUDE} ${CMAKE_CURRENT_LIST_DIR}/mistakes.cpp)
set_tests_properties(mistakes.none_compiles PROPERTIES LABELS fast)
mistake(1 wrong_signature_is_told "has the name of an operation but not its signature")
mistake(2 misspelt_name_is_told "getatr.*(override|overrid)")
mistake(3 wrong_answer_type_is_told "(conflicting return type|invalid covariant return type|has a different type|different return type)")
mistake(4 value_for_no_answer_is_told "(could not convert|no viable conversion)")
mistake(5 naming_the_base_is_told "name the concrete class")
mistake(6 wrong_arguments_of_a_duck_are_told "`read` does not take the arguments of `Operations::read`")
